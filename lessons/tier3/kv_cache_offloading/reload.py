"""A saved conversation: are its keys and values fetched or computed again?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Series
from llm_holes.engine.kvcache.offloaded import block_shape, slots_for
from llm_holes.engine.kvcache.tiers import FileTier
from llm_holes.engine.measure import timed


@dataclass(frozen=True)
class Saved:
    """A saved conversation: milliseconds to fetch or to compute its keys and values, per token and for all of them."""

    tokens: int
    reload_ms: float
    recompute_ms: float
    fixed_ms: float
    per_token_ms: float

    @property
    def breakeven(self) -> float | str:
        """From how many tokens on fetching is the quicker way."""
        gain = self.recompute_ms / self.tokens - self.per_token_ms
        return max(1, math.ceil(self.fixed_ms / gain)) if gain > 0 else "never"


def saved_conversation(engine: Engine, ids: Sequence[int], recompute_ms: float, link: float) -> Saved:
    """Fetching all blocks from the file, or over a link of this many MB/s if one is given."""
    config, size = engine.model.config, 16
    slots = slots_for(config, len(ids), size)
    with closing(FileTier(slots, block_shape(config, size))) as tier:
        _, first = timed(tier.read, 0)
        _, reading = timed(lambda: [tier.read(slot) for slot in range(slots)])
    bytes_per_token = config.kv_bytes_per_token()
    per_token = bytes_per_token / (link * 1e3) if link else reading / len(ids)
    return Saved(len(ids), per_token * len(ids) + first, recompute_ms, first, per_token)


def fetch_or_compute(saved: Saved) -> Curve:
    lengths = tuple(float(n) for n in range(0, 2 * saved.tokens + 1, max(1, saved.tokens // 8)))
    fetched = tuple(saved.fixed_ms + saved.per_token_ms * n for n in lengths)
    computed = tuple(saved.recompute_ms / saved.tokens * n for n in lengths)
    lines = (Series("fetch", lengths, fetched), Series("compute again", lengths, computed))
    return Curve("a saved conversation: fetch it or compute it again", lines, "tokens", "ms")
