"""What a terminal lacks is not sent."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from llm_holes.tui.terminal.filters import Colourless, Written, poor_terminal

GROUND = Color.parse("#15171c")


def test_a_usual_terminal_needs_no_filter() -> None:
    assert poor_terminal({"TERM": "xterm-256color", "LANG": "C.UTF-8"}) == []


def test_without_colours_what_stands_out_by_its_background_is_reversed() -> None:
    styles = [
        Style.parse("bold #ffffff on #15171c"),
        Style.parse("#ffffff on #2b3547"),
        Style.parse("underline #112233"),
        None,
    ]
    shown = Colourless().apply([Segment("a", style) for style in styles], GROUND)
    assert [segment.style for segment in shown] == [
        Style(bold=True, reverse=False), Style(reverse=True), Style(underline=True), None
    ]  # fmt: skip


def test_a_character_that_is_lacking_keeps_its_style() -> None:
    style = Style(bold=True)
    assert Written("ascii").apply([Segment("│a", style)], GROUND) == [Segment("|a", style)]
