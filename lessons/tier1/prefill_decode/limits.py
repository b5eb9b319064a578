"""The two limits of a machine, and what they say of a pass: how long it takes at least, and from how many tokens on its
sums take longer than reading the weights."""

from __future__ import annotations

from dataclasses import dataclass

from llm_holes.engine.device import DTYPES
from llm_holes.engine.engine import Engine
from llm_holes.engine.machine import matmul_gflop_per_s, read_gb_per_s
from llm_holes.engine.measure import Timing
from llm_holes.lessons.shared.counts import flops, weight_bytes


@dataclass(frozen=True, slots=True)
class Rates:
    """Bytes and operations per nanosecond: those a machine can do, or those a pass did."""

    gb_per_s: float
    gflop_per_s: float

    @property
    def flops_per_byte(self) -> float:
        return self.gflop_per_s / self.gb_per_s

    def share_of(self, best: Rates) -> Rates:
        """The same as shares of what is possible."""
        return Rates(self.gb_per_s / best.gb_per_s, self.gflop_per_s / best.gflop_per_s)


def limits(engine: Engine) -> Rates:
    """Measured anew for each run, since the passes beside it are timed now. Raises Cancelled."""
    stopped = engine.model.is_cancelled
    return Rates(read_gb_per_s(stopped), matmul_gflop_per_s(stopped, DTYPES[engine.info.dtype]))


def rates(engine: Engine, tokens: int, timing: Timing) -> Rates:
    """Of the fastest pass over `tokens`."""
    ns = timing.fastest * 1e6
    return Rates(weight_bytes(engine) / ns, flops(engine, tokens, tokens / 2) / ns)


def least_ms(engine: Engine, tokens: float, best: Rates) -> float:
    """What both limits leave a pass over `tokens`: the longer of reading and sums."""
    once, each = _sums(engine)
    return max(weight_bytes(engine) / best.gb_per_s, (once + tokens * each) / best.gflop_per_s) / 1e6


def knee(engine: Engine, best: Rates) -> float:
    """At how many tokens in a pass the sums take as long as reading the weights; at least 1."""
    once, each = _sums(engine)
    return max((best.flops_per_byte * weight_bytes(engine) - once) / each, 1.0)


def _sums(engine: Engine) -> tuple[float, float]:
    """Operations of a pass for its logits, which are made once, and for each of its tokens."""
    once = flops(engine, 0, 0)
    return once, flops(engine, 1, 0) - once
