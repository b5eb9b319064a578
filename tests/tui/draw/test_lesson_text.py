"""Measured values in the text of a lesson."""

from __future__ import annotations

import pytest

from llm_holes.tui.draw.lesson_text import filled


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Paris", "“~~Paris~~”"),
        (" Paris ", "“ ~~Paris~~ ”"),
        (" ", "“ ”"),
        (" *x* ", "“ ~~\\*x\\*~~ ”"),
        (0.5, "“~~0\\.5~~”"),
    ],
)
def test_marks_stand_close_to_what_they_mark(value: object, shown: str) -> None:
    assert filled("“{measured.x}”", {"x": value}, {}) == shown
