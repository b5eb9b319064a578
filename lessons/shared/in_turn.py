"""Times things in turn, so that whatever else the machine does meanwhile falls on all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from llm_holes.engine.measure import Timing, timed

K = TypeVar("K")


def in_turn(works: Mapping[K, Callable[[], object]], repeats: Callable[[K], int]) -> Iterator[dict[K, Timing]]:
    """The times so far, after each round over all `works`; each is done `repeats(its key)` times, at least once."""
    found: dict[K, list[float]] = {key: [] for key in works}
    for done in range(max(map(repeats, works))):
        for key, work in works.items():
            if done < max(repeats(key), 1):
                found[key].append(timed(work)[1])
        yield {key: Timing.of(ms) for key, ms in found.items()}


def clearly_slower(slow: Timing, fast: Timing) -> bool:
    """Whether even the fastest run of one took longer than the median run of the other: what else a machine does makes
    runs slower, never faster."""
    return slow.fastest > fast.median
