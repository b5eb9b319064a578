"""A cache of which only a part is in fast memory; the rest is moved out and fetched, or left out.

Sources: Zhang et al. 2023 (attention scores, H2O), Xiao et al. 2024 (landmarks of blocks, InfLLM).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from llm_holes.engine.kvcache.tiers import Tier
from llm_holes.engine.model.config import Config
from llm_holes.engine.model.decoder import causal_mask

Policy = Literal["LRU", "attention score", "window + landmarks"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


@dataclass
class Layer:
    """One layer's blocks [2, batch, kv_head, block_size, d_head]: those in memory, when each was last read, how much
    attention it got from how many pairs of query and key, the mean of its keys; and which are in the slower memory."""

    resident: dict[int, Tensor] = field(default_factory=dict)
    read_at: dict[int, int] = field(default_factory=dict)
    mass: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    pairs: Counter[int] = field(default_factory=Counter)
    landmarks: dict[int, Tensor] = field(default_factory=dict)
    stored: set[int] = field(default_factory=set)


class OffloadedCache:
    """Keeps `budget` blocks of each layer in memory between two passes, chosen by `policy`; one text (batch 1).

    `exact`: what is missing is fetched from `tier`, and the result is that of any exact cache. Otherwise a step reads
    no more than the budget: what leaves memory is forgotten, or, with landmarks, fetched back if its landmark fits the
    query best. `tier` needs a slot for each block of each layer. `hits` and `misses` count the reads of each
    (position, block) over the layers, in passes of one token.
    """

    def __init__(
        self,
        config: Config,
        tier: Tier,
        positions: int,
        budget: int,
        block_size: int,
        policy: Policy,
        exact: bool = True,
    ) -> None:
        self.length = 0
        self.hits: Counter[tuple[int, int]] = Counter()
        self.misses: Counter[tuple[int, int]] = Counter()
        self._layers = [Layer() for _ in range(config.n_layers)]
        self._shape = block_shape(config, block_size)
        self._tier, self._budget, self._size, self._policy, self._exact = tier, budget, block_size, policy, exact
        self._slots = -(-positions // block_size)
        self._tick = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values that can still be read, wherever they are."""
        position = torch.Size(self._shape).numel() // self._size * 4
        return sum(
            position * min(self._size, self.length - block * self._size)
            for layer in self._layers
            for block in {*layer.resident, *layer.stored}
        )

    @property
    def resident_bytes(self) -> int:
        return sum(block.nbytes for layer in self._layers for block in layer.resident.values())

    def append(self, layer: int, k: Tensor, v: Tensor, q: Tensor | None = None) -> tuple[Tensor, Tensor]:
        held, end = self._layers[layer], self.length + k.shape[2]
        self._write(held, torch.stack((k, v)))
        blocks = self._wanted(held, q)
        found = torch.cat([self._get(layer, block, k.shape[2] == 1) for block in blocks], dim=3)
        read = found[:, :, :, : end - (blocks[-1] - len(blocks) + 1) * self._size]
        if self._policy == "attention score" and q is not None:
            self._count_attention(held, q, read[0], blocks)
        return read[0], read[1]

    def advance(self, positions: int) -> None:
        self.length += positions
        for number, layer in enumerate(self._layers):
            whole = [block for block in layer.resident if block < self.length // self._size]
            while whole and len(layer.resident) > self._budget - self._fetched:
                victim = self._victim(layer, whole)
                whole.remove(victim)
                self._move_out(number, victim)

    def close(self) -> None:
        self._tier.close()

    def _write(self, layer: Layer, new: Tensor) -> None:
        """Puts new positions [2, batch, kv_head, pos, d_head] after those held."""
        for place in range(self.length - self.length % self._size, self.length + new.shape[3], self._size):
            block = layer.resident.setdefault(place // self._size, torch.zeros(self._shape))
            start, end = max(place, self.length), min(place + self._size, self.length + new.shape[3])
            block[:, :, :, start - place : end - place] = new[:, :, :, start - self.length : end - self.length]

    def _wanted(self, layer: Layer, q: Tensor | None) -> list[int]:
        """The blocks to read, in order of position."""
        everything = sorted({*layer.resident, *layer.stored})
        if not self._fetched or q is None or q.shape[2] > 1:
            return everything
        out = [block for block in everything if block not in layer.resident]
        query = q[0, :, 0].reshape(self._shape[2], -1, self._shape[4]).mean(1)
        out.sort(key=lambda block: float((query * layer.landmarks[block]).sum()), reverse=True)
        return sorted([*layer.resident, *out[: self._fetched]])

    @property
    def _fetched(self) -> int:
        """How much of the budget is for blocks that are fetched by their landmark."""
        return self._budget // 2 if self._policy == "window + landmarks" and not self._exact else 0

    def _get(self, layer: int, block: int, counted: bool) -> Tensor:
        held = self._layers[layer]
        self._tick += 1
        held.read_at[block] = self._tick
        if block in held.resident:
            self.hits[self.length, block] += counted
            return held.resident[block]
        self.misses[self.length, block] += counted
        fetched = self._tier.read(self._slot(layer, block))
        whole = [other for other in held.resident if other < self.length // self._size]
        if self._exact and whole and (victim := self._victim(held, [*whole, block])) != block:
            self._move_out(layer, victim)
            held.resident[block] = fetched
        return fetched

    def _victim(self, layer: Layer, blocks: Collection[int]) -> int:
        """Which of these blocks memory can best do without."""
        if self._policy == "LRU":
            return min(blocks, key=lambda block: (layer.read_at.get(block, 0), block))
        if self._policy == "attention score":
            # per query that could look: a sum would favour the old ones, which were there longest
            return min(blocks, key=lambda block: (layer.mass[block] / max(layer.pairs[block], 1), block))
        return min(blocks, key=lambda block: (block == 0, block))

    def _move_out(self, layer: int, block: int) -> None:
        held = self._layers[layer]
        data = held.resident.pop(block)
        if not self._exact and self._policy != "window + landmarks":
            return
        if block not in held.stored:
            self._tier.write(self._slot(layer, block), data)
            held.stored.add(block)
            held.landmarks[block] = data[0, 0].mean(1)

    def _slot(self, layer: int, block: int) -> int:
        return layer * self._slots + block

    def _count_attention(self, layer: Layer, q: Tensor, k: Tensor, blocks: list[int]) -> None:
        """Adds the attention each block gets, summed over heads and queries."""
        grouped = q[0].reshape(k.shape[1], -1, q.shape[2], q.shape[3])
        scores = grouped @ k[0, :, None].transpose(-1, -2) / q.shape[3] ** 0.5
        seen = causal_mask(q.shape[2], k.shape[2])
        scores = scores.masked_fill(~seen, -torch.inf)
        mass = torch.split(scores.softmax(-1).sum((0, 1, 2)), self._size)
        pairs = torch.split(seen.sum(0), self._size)
        for block, part, count in zip(blocks, mass, pairs, strict=True):
            layer.mass[block] += float(part.sum())
            layer.pairs[block] += int(count.sum())


def block_shape(config: Config, block_size: int) -> tuple[int, int, int, int, int]:
    return 2, 1, config.n_kv_heads, block_size, config.d_head


def slots_for(config: Config, positions: int, block_size: int) -> int:
    return config.n_layers * -(-positions // block_size)
