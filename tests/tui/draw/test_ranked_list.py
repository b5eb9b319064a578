"""A ranked list with its cuts, as plain strings."""

from __future__ import annotations

import math

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from llm_holes.engine.frames import Cut, RankedList
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.ranked_list import ranked_facts, ranked_line, ranked_rows
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.views.ranked_list import RankedListView
from llm_holes.tui.views.widgets import widget_for

LABELS = (" Paris", " the", " a", " located", " one", " known", "\n", " home")
SHARES = (0.412, 0.18, 0.12, 0.07, 0.05, 0.02, 0.008, 0.00004)
CUTS = (Cut("top-k 5", 5), Cut("top-p 0.9", 5), Cut("min-p 0.1", 3), Cut("top-k 40", 40))
VIEW = RankedList("what comes next", LABELS, SHARES, CUTS, 49_152, 0.13996, marked=1)

PICTURES = {
    40: """\
what comes next  49,152 candidates
  1  ·Paris   █████                 41 %
▸ 2  ·the     ██▏                   18 %
  3  ·a       █▌                    12 %
── min-p 0.1 ──────────────── keeps 3 ──
  4  ·locat…  ░                      7 %
  5  ·one     ░                      5 %
── top-k 5 · top-p 0.9 ────── keeps 5 ──
  6  ·known   ▏                      2 %
  7  ⏎        ▏                    0.8 %
  8  ·home    ▏             under 0.01 %
  …  49,144 not listed              14 %
── top-k 40 keeps 40, below this list ──
""",
    76: """\
what comes next  49,152 candidates, bars 0 to 100 %
  1  ·Paris             ███████████████▋                                41 %
▸ 2  ·the               ██████▉                                         18 %
  3  ·a                 ████▌                                           12 %
── min-p 0.1 ──────────────────────────────────────────────────── keeps 3 ──
  4  ·located           ░░░                                              7 %
  5  ·one               ░░                                               5 %
── top-k 5 · top-p 0.9 ────────────────────────────────────────── keeps 5 ──
  6  ·known             ░                                                2 %
  7  ⏎                  ▏                                              0.8 %
  8  ·home              ▏                                       under 0.01 %
  …  49,144 not listed  ░░░░░                                           14 %
── top-k 40 keeps 40, below this list ──
""",
    120: """\
what comes next  49,152 candidates, bars 0 to 100 %
  1  ·Paris             █████████████████████████████████▊                                                          41 %
▸ 2  ·the               ██████████████▊                                                                             18 %
  3  ·a                 █████████▉                                                                                  12 %
── min-p 0.1 ──────────────────────────────────────────────────────────────────────────────────────────────── keeps 3 ──
  4  ·located           ░░░░░░                                                                                       7 %
  5  ·one               ░░░░                                                                                         5 %
── top-k 5 · top-p 0.9 ────────────────────────────────────────────────────────────────────────────────────── keeps 5 ──
  6  ·known             ░░                                                                                           2 %
  7  ⏎                  ░                                                                                          0.8 %
  8  ·home              ▏                                                                                   under 0.01 %
  …  49,144 not listed  ░░░░░░░░░░░░                                                                                14 %
── top-k 40 keeps 40, below this list ──
""",
}


@pytest.mark.parametrize("width", PICTURES)
def test_the_picture_at_each_width(width: int) -> None:
    assert view_text(VIEW, width) + "\n" == PICTURES[width]


def test_what_is_below_a_cut_has_other_bars_and_a_muted_name() -> None:
    rows = ranked_rows(VIEW, 76)
    kept, cut = rows[ranked_line(VIEW, 2)], rows[ranked_line(VIEW, 3)]
    assert "█" in plain(kept)
    assert "░" not in plain(kept)
    assert "░" in plain(cut)
    assert "█" not in plain(cut)
    assert next(span for span in cut if "located" in span.text).role == "muted"


def test_bars_are_on_one_scale_whatever_is_in_the_list() -> None:
    def bar(view: RankedList) -> int:
        return plain(ranked_rows(view, 60)[1]).count("█")

    whole = bar(RankedList("t", ("a",), (1.0,)))
    assert bar(RankedList("t", ("a", "b"), (0.5, 0.5))) == pytest.approx(whole / 2, abs=1)
    assert bar(RankedList("t", ("a",), (0.25,))) == pytest.approx(whole / 4, abs=1)


def test_the_line_of_each_candidate_is_known() -> None:
    rows = [plain(row) for row in ranked_rows(VIEW, 76)]
    for n, name in enumerate(("·Paris", "·the", "·a", "·located", "·one", "·known", "⏎", "·home")):
        assert f" {n + 1}  {name} " in rows[ranked_line(VIEW, n)]


def test_the_cursor_needs_no_colour_and_its_place_is_said_in_a_line() -> None:
    rows = [plain(row) for row in ranked_rows(VIEW, 76, cursor=4)]
    assert rows[ranked_line(VIEW, 4)].startswith("▸ 5")
    assert ranked_facts(VIEW, 0) == "rank 1 · ·Paris · 41 % · kept"
    assert ranked_facts(VIEW, 3) == "rank 4 · ·located · 7 % · 78 % with all above it · cut by min-p 0.1"


ODD = (
    RankedList("t", (), ()),
    RankedList("t", ("one",), (1.0,), (Cut("top-k 1", 1), Cut("none", 0), Cut("all", 1)), 1),
    RankedList("t", ("🙂" * 30, "\x1b[31m", "漢字" * 20), (math.nan, math.inf, -1.0), (Cut("x" * 90, 2),), 5, math.nan),
    RankedList("t", tuple(map(str, range(1000))), (0.001,) * 1000, (Cut("top-k 40", 40),), 49_152, 0.0),
)


@pytest.mark.parametrize("view", [VIEW, *ODD])
@pytest.mark.parametrize("width", [40, 41, 76, 120])
def test_no_row_is_wider_than_the_picture(view: RankedList, width: int) -> None:
    for row in ranked_rows(view, width, cursor=0):
        assert cell_len(plain(row)) <= width
        assert "\x1b" not in plain(row)


async def test_arrows_walk_the_candidates_and_a_shorter_list_keeps_the_cursor_inside() -> None:
    class Listed(App[None]):
        def get_theme_variable_defaults(self) -> dict[str, str]:
            return {"measured": "#88c0d0"}

        def compose(self) -> ComposeResult:
            yield widget_for(VIEW)

    async with Listed().run_test(size=(80, 24)) as pilot:
        widget = pilot.app.query_one(RankedListView)
        widget.focus()
        await pilot.press("down", "down", "down")
        assert widget.describe() == ranked_facts(VIEW, 3)
        assert widget.place_at(5, widget.cursor_region().y) == (3, 0)
        assert plain(widget.row(widget.cursor_region().y, 76)).startswith("▸ 4")
        widget.view = RankedList("t", ("one",), (1.0,))
        assert widget.cursor == (0, 0)
