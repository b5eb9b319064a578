"""Which token is meant, and the window around it."""

from __future__ import annotations

import pytest

from llm_holes.lessons.shared.position_choice import position_of, window_start


@pytest.mark.parametrize(("asked", "meant"), [(-1, 9), (0, 0), (4, 4), (9, 9), (10, 9), (10**6, 9)])
def test_every_setting_means_a_token_of_the_text(asked: int, meant: int) -> None:
    assert position_of(asked, 10) == meant


@pytest.mark.parametrize(("position", "start"), [(0, 0), (2, 0), (50, 48), (99, 96)])
def test_the_window_is_around_the_token_and_in_the_text(position: int, start: int) -> None:
    assert window_start(position, 100, 4) == start


def test_a_short_text_is_shown_whole() -> None:
    assert window_start(2, 3, 8) == 0
