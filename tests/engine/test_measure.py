"""The interval around a measured rate."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.measure import Timing, changed_share, repeated, timed, wilson


@pytest.mark.parametrize(
    ("right", "trials", "low", "high"),
    # from the published tables of the interval (Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29)
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_the_published_one(right: int, trials: int, low: float, high: float) -> None:
    assert wilson(right, trials) == pytest.approx((low, high), abs=1e-4)


def test_nothing_wrong_is_not_certainty() -> None:
    low, high = wilson(15, 15)
    assert low < 0.8
    assert high == 1


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
