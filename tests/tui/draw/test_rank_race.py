"""The race of ranks as plain strings."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from llm_holes.engine.frames import RankRace, Runner
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.rank_race import place_facts, rank_race_rows
from llm_holes.tui.draw.spans import plain
from tests.support.example_views import RANK_RACE

LEAP = RankRace("the end", ("a", "b", "."), (Runner("<end>", (100, 100, 1)),), (2,), "the end of a sentence", 100)
ODD = (
    RankRace("r", (), ()),
    RankRace("r", (), (Runner("x", ()),)),
    RankRace("r", ("\x1b[31m",), (Runner("\u202e\x1b日本語🦜" * 9, (0,)), Runner("y", (10**9,)))),
    RankRace("r", tuple(map(str, range(1000))), tuple(Runner(f"n{n}", (n + 1,) * 1000) for n in range(1000)), (999,)),
)


def test_a_leap_in_one_step_is_a_step_and_no_ramp() -> None:
    """You should see a flat line at rank 100 that goes straight up to rank 1 between two tokens."""
    assert [line.rstrip() for line in view_text(LEAP, 40).splitlines()] == [
        "the end  rank, 1 is the likeliest",
        "  1┤                ╭───A─── A <end> 1",
        "   │                │   ┊",
        "   │                │   ┊",
        "   │                │   ┊",
        "   │                │   ┊",
        " 10┤                │   ┊",
        "   │                │   ┊",
        "   │                │   ┊",
        "   │                │   ┊",
        "   │                │   ┊",
        "100┤────A───────A───╯   ┊",
        "   └────────────────────▲───",
        "        a       b       .",
        "A <end>: from rank 100 to rank 1 in one",
        "step, at .",
        "▲ the end of a sentence",
    ]


def test_several_runners_are_told_apart_by_letters_and_named_where_they_end() -> None:
    for width in (40, 76, 120):
        lines = view_text(RANK_RACE, width).splitlines()
        assert lines[1].endswith("A <end> 1")
        assert lines[2].rstrip().endswith("C ⏎ 2")
        assert lines[3].rstrip().endswith("B ·It 3")
    assert view_text(RANK_RACE, 76).splitlines()[13].split() == [
        "The", "·capital", "·of", "·France", "·is", "·Paris", ".", "<end>",
    ]  # fmt: skip


def test_the_cursor_is_on_the_axis_and_says_the_rank_and_the_one_before() -> None:
    assert "◆" in plain(rank_race_rows(RANK_RACE, 76, cursor=(0, 7))[12])
    assert place_facts(RANK_RACE, 0, 7) == "A <end> · step 8: <end> · rank 1 · 106 before"
    assert place_facts(RANK_RACE, 1, 6) == "B ·It · step 7: . · rank 1 · 90 before · the end of a sentence"


@pytest.mark.parametrize("view", [*ODD, RANK_RACE, LEAP])
@pytest.mark.parametrize("width", [16, 40, 76, 120])
def test_odd_input_is_drawn_within_the_width(view: RankRace, width: int) -> None:
    for row in rank_race_rows(view, width, cursor=(0, 0))[1:]:
        assert cell_len(plain(row)) <= width
        assert "\x1b" not in plain(row)
