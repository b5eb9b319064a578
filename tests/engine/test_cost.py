"""What work costs beside the machine's limits."""

from __future__ import annotations

import pytest

from llm_holes.engine.cost import Pace, cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bound

MACHINE = Pace(gb_per_s=10.0, gflop_per_s=100.0, step_ms=50.0)


@pytest.mark.parametrize(
    ("ms", "nbytes", "flops", "bound"),
    [
        (60.0, 500e6, 250e6, "reading"),  # 50 ms of reading, 2.5 ms of sums
        (70.0, 500e6, 6e9, "arithmetic"),  # as many bytes, 60 ms of sums
        (210.0, 500e6, 250e6, "neither"),  # both limits leave three quarters of the time unexplained
    ],
)
def test_the_limit_that_takes_longer_is_the_one_that_binds(
    ms: float, nbytes: float, flops: float, bound: Bound
) -> None:
    assert MACHINE.bound(ms, nbytes, flops) == bound


def test_a_cost_is_set_beside_a_step_of_the_model_at_hand(engine: Engine) -> None:
    one, ten = (cost(engine, "work", ms, 538e6, 269e6) for ms in (20.0, 200.0))
    assert ten.steps >= 9.99 * one.steps, "a step is never found to be slower later"
    assert 0 < one.steps < 20
