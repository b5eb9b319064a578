"""Where keys and values of earlier positions are kept, so that a decode step computes them for one position only.

`KVCache` is what the model asks of a cache; `engine/kvcache/` holds the ones that save memory. All are used alike:
`model.forward(ids, cache)`, or `last_logits(model, ids, cache)` for a prompt of any length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from llm_holes.engine.model.config import Config


class KVCache(Protocol):
    """All layers write at the same place, then the pass advances it once, so a cancelled pass leaves it as it was.

    A token's position, by which its query and key are rotated, is its place in the cache: `length` and up. A layer that
    has a window (`Config.windows`) sees of what `append` returns the last so many: with a cache that returns all
    positions in order that is exact, with one that leaves some out the window reaches farther back.
    """

    @property
    def length(self) -> int:
        """Positions held."""

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values held."""

    def append(self, layer: int, k: Tensor, v: Tensor, q: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Stores k, v [batch, kv_head, pos, d_head] after those held and returns what the layer sees, these last.

        The queries q [batch, head, pos, d_head] let a cache that shows only a part choose it.
        """

    def advance(self, positions: int) -> None:
        """Counts `positions` as held, once all layers have stored them."""


class ContiguousCache:
    """One reserved stretch of memory per layer, [2, batch, kv_head, capacity, d_head]; doubled when it is full."""

    def __init__(self, config: Config, capacity: int = 256, batch: int = 1) -> None:
        self.length = 0
        self._store = [
            torch.empty(2, batch, config.n_kv_heads, capacity, config.d_head) for _ in range(config.n_layers)
        ]

    @property
    def nbytes(self) -> int:
        return sum(layer[:, :, :, : self.length].numel() * layer.element_size() for layer in self._store)

    @property
    def reserved_bytes(self) -> int:
        return sum(layer.nbytes for layer in self._store)

    def append(self, layer: int, k: Tensor, v: Tensor, q: Tensor | None = None) -> tuple[Tensor, Tensor]:
        end = self.length + k.shape[2]
        store = self._store[layer]
        if end > store.shape[3]:
            wider = store.new_empty(*store.shape[:3], max(end, 2 * store.shape[3]), store.shape[4])
            wider[:, :, :, : self.length] = store[:, :, :, : self.length]
            self._store[layer] = store = wider
        keys, values = store[:, :, :, :end].unbind()
        keys[:, :, self.length :] = k
        values[:, :, self.length :] = v
        return keys, values

    def advance(self, positions: int) -> None:
        self.length += positions

    def truncate(self, length: int) -> None:
        """Forgets the positions from `length` on: what follows is read anew, what is before is not."""
        self.length = min(self.length, length)

    def copies(self, batch: int, room: int) -> ContiguousCache:
        """What this one (of batch 1) holds, `batch` times side by side, each with `room` for more positions."""
        return side_by_side([self] * batch, room)

    def rows(self) -> list[ContiguousCache]:
        """Each of the batch as a cache of its own, in the memory of this one."""
        return [self._of([layer[:, n : n + 1] for layer in self._store]) for n in range(self._store[0].shape[1])]

    def _of(self, store: list[Tensor]) -> ContiguousCache:
        other = ContiguousCache.__new__(ContiguousCache)
        other.length, other._store = self.length, store
        return other


def side_by_side(caches: Sequence[ContiguousCache], room: int) -> ContiguousCache:
    """Copies of caches that hold as many positions each, as one batch, with `room` for more positions."""
    first = caches[0]
    store = []
    for layers in zip(*(cache._store for cache in caches), strict=True):
        held = torch.cat([layer[:, :, :, : first.length] for layer in layers], dim=1)
        store.append(torch.cat((held, held.new_empty(*held.shape[:3], room, held.shape[4])), dim=3))
    return first._of(store)
