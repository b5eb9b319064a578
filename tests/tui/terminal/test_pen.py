"""The shortest change of style, measured on a terminal."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_holes.tui.terminal.pen import PLAIN, blank, change, pen_of

COLOURS = st.sampled_from(["", "31", "97", "38;5;7", "38;2;1;2;3", "38;2;255;0;4"])
MARKS = st.lists(st.sampled_from(["1", "2", "3", "4", "7", "9"]), max_size=3, unique=True)


@st.composite
def styles(draw: st.DrawFn) -> str:
    ink, ground = draw(COLOURS), draw(COLOURS)
    ground = {"31": "41", "97": "107"}.get(ground, ground.replace("38;", "48;"))
    return ";".join(filter(None, [*draw(MARKS), ink, ground]))


def drawn(data: str) -> pyte.screens.Char:
    """A letter as a terminal draws it after `data`."""
    screen = pyte.Screen(3, 1)
    pyte.Stream(screen).feed(f"{data}x")
    return screen.buffer[0][0]


@given(st.lists(styles(), min_size=1, max_size=5))
def test_a_chain_of_changes_draws_as_the_last_style_alone(chain: list[str]) -> None:
    pen, data = PLAIN, ""
    for style in chain:
        sequence, pen = change(pen, style)
        data += sequence
    assert drawn(data) == drawn(f"\x1b[0;{chain[-1]}m")
    assert pen == pen_of(chain[-1])


@given(styles(), styles())
def test_spaces_show_the_ground_of_their_style_whatever_was_before(before: str, style: str) -> None:
    sequence, _ = change(pen_of(before), blank(style))
    shown, meant = drawn(f"\x1b[{before}m{sequence}"), drawn(f"\x1b[0;{style}m")
    assert (shown.bg, shown.reverse, shown.underscore) == (meant.bg, meant.reverse, meant.underscore)


@pytest.mark.parametrize(
    ("before", "after", "sequence"),
    [
        ("38;2;1;2;3;48;2;4;5;6", "38;2;1;2;3;48;2;4;5;6", ""),
        ("38;2;1;2;3;48;2;4;5;6", "38;2;9;9;9;48;2;4;5;6", "\x1b[38;2;9;9;9m"),
        ("1;31", "31", "\x1b[22m"),
        ("1;2", "2", "\x1b[22;2m"),
        ("1;31;41", "", "\x1b[m"),
        ("31;41", "41", "\x1b[39m"),
        ("31;41", blank("97;41"), ""),
        ("", blank("1;31"), ""),
    ],
)
def test_only_what_differs_is_named(before: str, after: str, sequence: str) -> None:
    assert change(pen_of(before), after)[0] == sequence
