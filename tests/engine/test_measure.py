"""How long something takes, and how far apart two models are."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.measure import Timing, changed_share, repeated, timed


def test_timed_work_gets_its_arguments_and_gives_its_result() -> None:
    result, ms = timed(divmod, 7, 2)
    assert result == (3, 1)
    assert ms >= 0


def test_repeated_work_runs_this_many_times_and_gives_the_last_result() -> None:
    calls: list[int] = []

    def work(step: int, *, offset: int) -> int:
        calls.append(step)
        return len(calls) + offset

    result, timing = repeated(3, work, 5, offset=10)
    assert (result, calls) == (13, [5, 5, 5])
    assert timing.fastest <= timing.median <= timing.slowest


def test_a_timing_is_written_with_its_spread() -> None:
    assert str(Timing.of([2.0, 19.0, 2100.0])) == "19 ms (2.0 ms to 2.1 s)"


def test_the_share_of_words_that_would_change_is_the_probability_that_moved() -> None:
    intact = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]).log()
    changed = torch.tensor([[0.5, 0.2, 0.3], [1.0, 0.0, 0.0]]).log()
    assert changed_share(intact, changed) == pytest.approx(0.15)  # 0.3 at the first of two places, nothing at the other
    assert changed_share(intact, intact) == 0
