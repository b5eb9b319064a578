"""Time in tests, so that a busy machine fails none: growth of processor time, and seconds where they are asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

AtMost = Callable[[float], AbstractContextManager[None]]
"""`with at_most(seconds): …`"""


@contextmanager
def timed(seconds: float) -> Iterator[None]:
    """Fails if what is inside takes longer."""
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < seconds


@contextmanager
def untimed(seconds: float) -> Iterator[None]:
    """Lets what is inside take as long as it takes."""
    yield


def growth(work: Callable[[int], object], size: int, factor: int) -> float:
    """How many times the processor time of `work(size)` that of `work(factor * size)` is: about `factor` where the
    cost is linear, its square where it is quadratic. The best of three each."""
    work(size)
    return _cost(work, factor * size) / _cost(work, size)


def _cost(work: Callable[[int], object], size: int) -> float:
    def once() -> float:
        start = time.process_time()
        work(size)
        return time.process_time() - start

    return min(once() for _ in range(3))
