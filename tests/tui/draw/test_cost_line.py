"""The line that says what a piece of work costs."""

from __future__ import annotations

import pytest

from llm_holes.engine.frames import Bound, Cost, Frame
from llm_holes.tui.draw.as_text import frame_text
from llm_holes.tui.draw.cost_line import cost_line

TOKEN = Cost("one token", 41.2, 538e6, 269e6, 0.98, "reading")


def test_it_names_time_bytes_and_what_the_machine_waits_for() -> None:
    assert (
        cost_line(TOKEN, 100) == "one token: 41 ms · 98 % of a decode step · 513 MiB · 0.5 FLOP/byte · bound by reading"
    )


def test_it_uses_fewer_words_where_there_is_less_room() -> None:
    assert cost_line(TOKEN, 78) == "one token: 41 ms · 98 % of a step · 513 MiB · 0.5 FLOP/byte · bound by reading"
    assert cost_line(TOKEN, 70) == "one token: 41 ms · 513 MiB · 0.5 FLOP/byte · bound by reading"
    assert cost_line(TOKEN, 50) == "one token: 41 ms · 513 MiB · bound by reading"


def test_what_takes_several_steps_says_how_many() -> None:
    assert "as long as 7.3 decode steps" in cost_line(Cost("a prompt", 300.0, 1e9, 1e10, 7.3, "arithmetic"), 100)


@pytest.mark.parametrize(("bound", "said"), [("neither", "mostly overhead"), ("arithmetic", "bound by arithmetic")])
def test_what_the_machine_does_not_wait_for_is_said_too(bound: Bound, said: str) -> None:
    assert cost_line(Cost("a lookup", 0.02, 0.0, 0.0, 0.0005, bound), 100).endswith(said)


def test_a_frame_as_text_has_the_line_below_its_pictures() -> None:
    assert cost_line(TOKEN, 90) in frame_text(Frame("seen", cost=TOKEN), 90)
