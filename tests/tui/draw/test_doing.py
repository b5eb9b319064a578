"""What a run does just now, in the room there is."""

from __future__ import annotations

import pytest

from llm_holes.engine.work import LAYER, Doing, Work
from llm_holes.tui.draw.doing import doing_text

READING = Doing(Work(LAYER, 7, 30, 4001), passes=9, readings=3, of_readings=19)


@pytest.mark.parametrize(
    ("doing", "text"),
    [
        (READING, "layer  7 of 30 · 4,001 tokens · reading  3 of about 19"),
        # an estimate that was too low is not shown as if it were one
        (Doing(Work(LAYER, 30, 30, 64), 1214, 0, 20, 19), "layer 30 of 30 · 64 tokens · pass 1,214"),
        (Doing(Work(LAYER, 1, 30, 64), 1), "layer  1 of 30 · 64 tokens"),
        (Doing(Work(LAYER, 1, 30, 1), 58, 57), "token by token: 57 · layer  1 of 30"),
        (Doing(Work("matrix", 57, 1210), 3, 2, 1, 4), "matrix    57 of 1,210"),
        (Doing(Work("backward pass", 1, 1), 3), "backward pass"),
    ],
)
def test_what_is_done_is_said(doing: Doing, text: str) -> None:
    assert doing_text(doing, 80) == text


def test_the_nearest_stays_where_there_is_little_room() -> None:
    assert doing_text(READING, 53) == "layer  7 of 30 · 4,001 tokens"
    assert doing_text(READING, 28) == doing_text(READING, 14) == "layer  7 of 30"
    assert doing_text(READING, 13) == ""
