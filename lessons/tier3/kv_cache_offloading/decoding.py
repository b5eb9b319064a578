"""Four ways through the same text, token by token and in turn: all in fast memory, what is missing fetched, what is
missing left out, and, left out too, with an answer of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.kvcache.offloaded import OffloadedCache, Policy, block_shape, slots_for
from llm_holes.engine.kvcache.tiers import Tier, tier_for
from llm_holes.engine.measure import Timing, timed
from llm_holes.engine.model.cache import KVCache
from llm_holes.lessons.shared.in_turn import in_turn

RESIDENT, FETCHED, LEFT_OUT, ALONE = "all in memory", "missing fetched", "missing left out", "left out, alone"


@dataclass
class ClockedTier:
    """A slower memory that notes how many milliseconds each fetch took."""

    tier: Tier
    ms: list[float] = field(default_factory=list)

    def write(self, slot: int, block: Tensor) -> None:
        self.tier.write(slot, block)

    def read(self, slot: int) -> Tensor:
        block, ms = timed(self.tier.read, slot)
        self.ms.append(ms)
        return block

    def close(self) -> None:
        self.tier.close()


@dataclass
class AllAtOnce:
    """Several caches that one pass fills; the pass itself sees the first of them."""

    caches: Sequence[KVCache]

    @property
    def length(self) -> int:
        return self.caches[0].length

    @property
    def nbytes(self) -> int:
        return sum(cache.nbytes for cache in self.caches)

    def append(self, layer: int, k: Tensor, v: Tensor, q: Tensor | None = None) -> tuple[Tensor, Tensor]:
        seen, *_ = [cache.append(layer, k, v, q) for cache in self.caches]
        return seen

    def advance(self, positions: int) -> None:
        for cache in self.caches:
            cache.advance(positions)


@dataclass
class Way:
    """A cache, the tokens that are read through it after the prompt, and the logits before each of them."""

    cache: OffloadedCache
    tokens: list[int]
    logits: list[Tensor] = field(default_factory=list)

    @property
    def likeliest(self) -> list[int]:
        return [int(logits.argmax()) for logits in self.logits]

    def read_next(self, engine: Engine) -> None:
        """One token more; where there is none yet, the likeliest."""
        step = len(self.logits) - 1
        if step == len(self.tokens):
            self.tokens.append(int(self.logits[-1].argmax()))
        self.logits.append(last_logits(engine.model, self.tokens[step : step + 1], self.cache))


class Decoding(AbstractContextManager["Decoding"]):
    """All ways after the same prompt, which was read once, with everything in memory."""

    def __init__(self, engine: Engine, ids: list[int], p: Mapping[str, Any]) -> None:
        self.positions = len(ids) + p["max_new_tokens"]
        self.times: dict[str, Timing] = {}
        self._engine, self._count = engine, p["max_new_tokens"]
        size, policy, budget = p["block_size"], p["policy"], max(2, p["budget"] // p["block_size"])
        shape, slots = block_shape(engine.model.config, size), slots_for(engine.model.config, self.positions, size)
        self.fetching = ClockedTier(slower_memory(engine, slots, shape))

        def cache(tier: Tier, blocks: int, rule: Policy, exact: bool) -> OffloadedCache:
            return OffloadedCache(engine.model.config, tier, self.positions, blocks, size, rule, exact)

        given: list[int] = []
        # the first never moves a block out, so that the clock sees the same code in all ways
        self.ways = {
            RESIDENT: Way(cache(slower_memory(engine, 1, shape), self.positions, "LRU", True), given),
            FETCHED: Way(cache(self.fetching, budget, policy, True), given),
            LEFT_OUT: Way(cache(slower_memory(engine, slots, shape), budget, policy, False), given),
            ALONE: Way(cache(slower_memory(engine, slots, shape), budget, policy, False), []),
        }
        together = AllAtOnce([way.cache for way in self.ways.values()])
        logits, self.prefill_ms = timed(last_logits, engine.model, ids, together)
        for way in self.ways.values():
            way.logits.append(logits)

    def __exit__(self, *error: object) -> None:
        for way in self.ways.values():
            way.cache.close()

    def steps(self) -> Iterator[int]:
        """One token more in each way; how many there are then."""
        works = {name: lambda way=way: way.read_next(self._engine) for name, way in self.ways.items()}
        for done, times in enumerate(in_turn(works, lambda name: self._count), 1):
            self.times = times
            yield done

    def stacked(self, way: str) -> Tensor:
        """Its logits [token, d_vocab], those after the prompt first."""
        return torch.stack(self.ways[way].logits)

    def missed_blocks(self) -> list[int]:
        """For each token that was read, how many blocks had to be fetched, over all layers."""
        cache = self.ways[FETCHED].cache
        places = sorted({place for place, _ in cache.hits | cache.misses})
        return [sum(n for (place, _), n in cache.misses.items() if place == here) for here in places]

    def hit_rate(self) -> float:
        cache = self.ways[FETCHED].cache
        hits, misses = cache.hits.total(), cache.misses.total()
        return hits / (hits + misses)


def slower_memory(engine: Engine, slots: int, shape: Sequence[int]) -> Tier:
    """A file, or for a model on another device the host's memory."""
    return tier_for(engine.model.weights["model.embed_tokens.weight"].device, slots, shape)
