"""The interval around a measured rate."""

from __future__ import annotations

import pytest

from llm_holes.engine.proportion import wilson


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
