"""What work costs beside the machine's limits."""

from __future__ import annotations

import re

import pytest

from llm_holes.engine.cost import FEW, Pace, cost, refuse_long
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
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


def test_a_text_that_would_take_too_long_is_refused_with_the_time_and_a_length_that_fits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_holes.engine.cost.pace", lambda engine: MACHINE)
    refuse_long(engine, "A lesson", 10.0, 2_000)
    with pytest.raises(InputError, match=r"“A lesson” reads its text about 10 times: 8,000 tokens .* 5\.4 min") as told:
        refuse_long(engine, "A lesson", 10.0, 8_000)
    fits = int(re.sub(r"\D", "", told.value.hint))
    assert 2_000 < fits < 8_000
    refuse_long(engine, "A lesson", 10.0, fits)
    with pytest.raises(InputError):
        refuse_long(engine, "A lesson", 10.0, fits + 20)
    with pytest.raises(InputError):  # with what is read besides it
        refuse_long(engine, "A lesson", 10.0, fits, 20_000)


def test_a_short_text_is_read_however_slow_the_machine_is(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_holes.engine.cost.pace", lambda engine: Pace(1e-3, 1e-3, 1e6))
    refuse_long(engine, "A lesson", 50.0, FEW)
