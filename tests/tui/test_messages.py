"""Which messages make an earlier one that still waits superfluous."""

from __future__ import annotations

from textual.widgets import Static

from llm_holes.tui.messages import Described, MoreDials


def test_only_a_widget_itself_takes_back_what_it_said_of_itself() -> None:
    one, other = Static(), Static()
    assert Described(one).can_replace(Described(one))
    assert not Described(one).can_replace(Described(other))
    assert not Described(one).can_replace(MoreDials())
