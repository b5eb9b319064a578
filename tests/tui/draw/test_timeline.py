"""The time line as plain strings."""

from __future__ import annotations

import math

import pytest
from rich.cells import cell_len

from llm_holes.engine.frames import Stretch, Timeline, TimelineRow
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.draw.timeline import places_of, stretch_facts, timeline_rows
from tests.support.example_views import TIMELINE

ODD = (
    Timeline("t", ()),
    Timeline("t", (TimelineRow("", ()), TimelineRow("x", (Stretch("a", math.nan), Stretch("b", -1), Stretch("c", 0))))),
    Timeline(
        "t", (TimelineRow("\x1b[31m日本語🦜", (Stretch("\x1b", 3.0, "\u202e"), Stretch("🦜", math.inf)), "🦜" * 60),)
    ),
    Timeline("t", tuple(TimelineRow(str(n), (Stretch("a", n, f"kind {n}"),)) for n in range(1000))),
    Timeline("t", (TimelineRow("many", tuple(Stretch("a", 1.0, "g") for _ in range(1000))),)),
)


def test_two_rows_stand_on_one_scale_and_short_stretches_keep_their_letter() -> None:
    """You should see a long and a longer prefill, then ten tokens each, over an axis of milliseconds."""
    assert view_text(TIMELINE, 76).splitlines() == [
        "two prompts on one scale",
        "short [p████████][d[d[dd[d[d[dd[d[d                                   860 ms",
        "      39 tokens in, 10 out",
        "long  [prefill 156 tokens ███████████████████████][d[dd[d[d[d[dd[d[d  1.9 s",
        "      156 tokens in, 10 out",
        "      ┴────────────────┴────────────────┴───────────────┴───────────",
        "      0             500 ms             1 s            1.5 s",
        "p prefill   d decode   one column is 30 ms",
    ]
    assert view_text(TIMELINE, 40).splitlines()[1:4:2] == [
        "short [p██]ddddddd                860 ms",
        "long  [p███████████████]dddddddd  1.9 s",
    ]
    assert view_text(TIMELINE, 120).splitlines()[1].endswith("860 ms · 39 tokens in, 10 out")


def test_bars_grow_as_high_as_their_lines_allow_and_only_the_first_line_has_names() -> None:
    """You should see two bars of two lines each, a free line between them, and the axis below."""
    drawn = [plain(row).rstrip() for row in timeline_rows(TIMELINE, 120, None, 6)]
    assert drawn[1].startswith("short [p████████████][d][")
    assert drawn[2].startswith("      [█████████████][░][")
    assert drawn[3] == ""
    assert drawn[4].startswith("long ")
    assert drawn[5].startswith("      [█")
    assert "┴" in drawn[6]
    assert len(timeline_rows(TIMELINE, 120, None, 4)) == len(timeline_rows(TIMELINE, 120)) + 1
    assert len(timeline_rows(TIMELINE, 120, None, 50)) == len(drawn) + 7, "five lines at most, two free"


def test_two_time_lines_beside_each_other_are_on_one_scale() -> None:
    short, long = (Timeline("t", (row,)) for row in TIMELINE.rows)
    alone, beside = (plain(timeline_rows(short, 76, twin=twin)[1]) for twin in (None, long))
    assert beside.rstrip() == view_text(TIMELINE, 76).splitlines()[1]
    assert alone.index("]") > 1.5 * beside.index("]")


def test_a_stretch_too_short_for_a_column_takes_one_from_a_long_neighbour() -> None:
    row = TimelineRow("", (Stretch("a", 500), Stretch("b", 0.1), Stretch("c", 500)))
    assert places_of(row, 10 / 1000.1, 10) == [0, 0, 0, 0, 0, 1, 2, 2, 2, 2]


def test_the_cursor_needs_no_colour_and_says_what_when_and_how_much() -> None:
    assert "[p████████]▸d[d[dd" in plain(timeline_rows(TIMELINE, 76, (0, 1))[1])
    here = [span for row in timeline_rows(TIMELINE, 120, (0, 0), 6)[1:3] for span in row if span.role == "cursor"]
    assert len(here) == 2, "in each of the bar's lines"
    assert not any("█" in span.text for span in here), "a full block would hide the cursor's colour"
    assert stretch_facts(TIMELINE, 0, 1) == "short: token · 52 ms from 340 ms on · 6 % of 860 ms"


@pytest.mark.parametrize("view", [*ODD, TIMELINE])
@pytest.mark.parametrize("width", [12, 40, 76, 120])
def test_odd_input_is_drawn_within_the_width(view: Timeline, width: int) -> None:
    for row in timeline_rows(view, width, (0, 0))[1:]:
        assert cell_len(plain(row)) <= width
        assert "\x1b" not in plain(row)
