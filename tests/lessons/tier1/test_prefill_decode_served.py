"""Many requests at once, by numbers of the test's own."""

from __future__ import annotations

import pytest

from llm_holes.lessons.tier1.prefill_decode.served import Load, knee, sizes_up_to


def test_the_knee_is_where_twice_as_many_requests_bring_little() -> None:
    assert knee({1: 10, 2: 20, 4: 39, 8: 45, 16: 46}) == 4
    assert knee({1: 10, 2: 19, 4: 36, 6: 50}) == 6, "still worth it"
    assert knee({1: 10, 2: 9, 4: 30}) == 1


def test_requests_at_once_are_doubled_up_to_as_many_as_are_set() -> None:
    assert sizes_up_to(1) == [1]
    assert sizes_up_to(12) == [1, 2, 4, 8, 12]
    assert sizes_up_to(32) == [1, 2, 4, 8, 16, 32]


def test_tokens_per_second_in_all_and_for_each() -> None:
    load = Load([[100.0, 200.0, 1000.0], [500.0, 1000.0, 2000.0]])
    assert load.in_all == 3.0
    assert load.each == pytest.approx(2.25)
    load.new[1] = 5
    assert load.in_all == 4.0, "where the server counts, pieces of several tokens count as several"
