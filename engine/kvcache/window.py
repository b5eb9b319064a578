"""A cache of constant size: the first few positions and the last ones (Xiao et al. 2023, StreamingLLM)."""

from __future__ import annotations

import torch
from torch import Tensor

from llm_holes.engine.model.config import Config
from llm_holes.engine.model.decoder import Rotation, rotary, rotate
from llm_holes.engine.model.rope import Rope


class WindowCache:
    """Holds the first `sinks` positions and of the rest as many as, with the next token, make up `window`.

    Positions are those within the cache, as in StreamingLLM: when the middle is forgotten, what follows moves up, so no
    distance exceeds what the cache holds and a text may be longer than the model's context. Keys are therefore kept
    unrotated and rotated when they are read.

    Nothing is forgotten within one pass. Fed token by token, each token sees exactly the sinks and the window, itself
    included; fed in chunks, it sees the chunk's beginning too. With a window no shorter than the text it is exact.
    `kept` are the places in the text of what is held.
    """

    def __init__(self, config: Config, window: int, sinks: int = 0, batch: int = 1) -> None:
        if window < 1 or sinks < 0:
            raise ValueError("a window holds at least one position, and not fewer than no sinks")
        self._config, self._room, self._sinks = config, window - 1, sinks
        empty = torch.empty(2, batch, config.n_kv_heads, 0, config.d_head)
        self._held = [empty] * config.n_layers
        self._next = list(self._held)
        self._rotations: dict[Rope, Rotation] = {}
        self.kept: list[int] = []
        self._read = 0

    @property
    def length(self) -> int:
        return len(self.kept)

    @property
    def nbytes(self) -> int:
        return sum(layer.nbytes for layer in self._held)

    def append(self, layer: int, k: Tensor, v: Tensor, q: Tensor | None = None) -> tuple[Tensor, Tensor]:
        end = self.length + k.shape[2]
        rotation = self._rotation(self._config.ropes[layer], end)
        cos, sin = rotation.cos, rotation.sin
        unrotated = _rotated(k, Rotation(cos[self.length :], -sin[self.length :]))
        self._next[layer] = store = torch.cat((self._held[layer], torch.stack((unrotated, v))), dim=3)
        return _rotated(store[0], rotation), store[1]

    def _rotation(self, rope: Rope, end: int) -> Rotation:
        if rope not in self._rotations or len(self._rotations[rope].cos) != end:
            self._rotations[rope] = rotary(rope, 0, end)
        return self._rotations[rope]

    def advance(self, positions: int) -> None:
        kept = [*self.kept, *range(self._read, self._read + positions)]
        self._read += positions
        forgotten = range(self._sinks, max(self._sinks, len(kept) - self._room))
        stay = [n for n in range(len(kept)) if n not in forgotten]
        self.kept = [kept[n] for n in stay]
        self._held = [layer if not forgotten else layer[:, :, :, stay] for layer in self._next]


def _rotated(k: Tensor, rotation: Rotation) -> Tensor:
    """k [batch, head, pos, d_head] rotated by each position's angles."""
    return rotate(k.transpose(1, 2), rotation).transpose(1, 2)
