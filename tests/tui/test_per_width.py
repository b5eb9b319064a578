"""A drawing is made once for each width."""

from __future__ import annotations

from llm_holes.tui.views.per_width import PerWidth


def test_it_is_made_anew_for_another_width_and_after_a_change_only() -> None:
    made: list[int] = []

    def make(width: int) -> str:
        made.append(width)
        return "x" * width

    drawn = PerWidth(make)
    assert [drawn(3), drawn(3), drawn(4)] == ["xxx", "xxx", "xxxx"]
    assert made == [3, 4]
    drawn.forget()
    assert drawn(4) == "xxxx"
    assert made == [3, 4, 4]
