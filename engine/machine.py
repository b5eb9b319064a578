"""What this machine can do at best, measured in a fraction of a second: how fast it reads, how fast it multiplies."""

from __future__ import annotations

from collections.abc import Callable

import torch

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.measure import Timing, timed

READ_NUMBERS = 32 * 2**20  # 128 MiB of fp32, more than caches hold
SIDE = 768
REPEATS = 8


def read_gb_per_s(is_cancelled: Callable[[], bool]) -> float:
    """Bytes per nanosecond of the fastest sum over a large tensor. Raises Cancelled between repetitions."""
    numbers = torch.ones(READ_NUMBERS)
    return numbers.nbytes / _fastest_ns(numbers.sum, is_cancelled)


def matmul_gflop_per_s(is_cancelled: Callable[[], bool], dtype: torch.dtype = torch.float32) -> float:
    """Operations per nanosecond of the fastest product of two square matrices; an addition counts as one."""
    a, b = torch.rand(SIDE, SIDE, dtype=dtype), torch.rand(SIDE, SIDE, dtype=dtype)
    return 2 * SIDE**3 / _fastest_ns(lambda: a @ b, is_cancelled)


def _fastest_ns(work: Callable[[], object], is_cancelled: Callable[[], bool]) -> float:
    ms: list[float] = []
    for _ in range(REPEATS):
        if is_cancelled():
            raise Cancelled
        ms.append(timed(work)[1])
    return Timing.of(ms).fastest * 1e6
