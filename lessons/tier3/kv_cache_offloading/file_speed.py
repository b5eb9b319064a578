"""How fast blocks come from the file on this machine, large ones and small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.kvcache.offloaded import block_shape
from llm_holes.engine.kvcache.tiers import Tier
from llm_holes.engine.measure import Timing
from llm_holes.lessons.shared.in_turn import in_turn
from llm_holes.lessons.tier3.kv_cache_offloading.decoding import slower_memory

SIZES = (1, 2, 4, 8, 16, 64, 128)
REPEATS = 5
BYTES = 4 * 2**20
"""How much is fetched for each size."""

Speeds = dict[int, Timing]
"""By the positions in a block: milliseconds to fetch a mebibyte in such blocks, one after the other."""


def fetching(engine: Engine) -> Iterator[Speeds]:
    """The same bytes in small blocks and in large ones, in turn; after each round."""
    with ExitStack() as open_files:
        works: dict[int, Callable[[], object]] = {}
        scale: dict[int, float] = {}
        for size in SIZES:
            shape = block_shape(engine.model.config, size)
            nbytes = torch.Size(shape).numel() * 4
            slots = max(BYTES // nbytes, 1)
            tier = open_files.enter_context(closing(slower_memory(engine, slots, shape)))
            works[size], scale[size] = _reader(tier, slots), 2**20 / (slots * nbytes)
        for found in in_turn(works, lambda size: REPEATS):
            yield {
                size: Timing(t.median * scale[size], t.fastest * scale[size], t.slowest * scale[size])
                for size, t in found.items()
            }


def _reader(tier: Tier, slots: int) -> Callable[[], object]:
    return lambda: [tier.read(slot) for slot in range(slots)]


def best_gb_per_s(speeds: Speeds) -> float:
    """Bytes per nanosecond in the blocks that come fastest."""
    return 2**20 / min(t.fastest for t in speeds.values()) / 1e6
