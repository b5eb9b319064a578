"""The cache as a grid, in plain strings."""

from __future__ import annotations

import pytest
from msgspec import structs
from rich.cells import cell_len

from llm_holes.engine.frames import Array, CacheGrid, CellState
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.cache_grid import cache_grid_rows, cell_facts, states_of
from llm_holes.tui.draw.spans import plain
from tests.support.example_views import CACHE_GRID

ALL: tuple[CellState, ...] = ("empty", "kept", "read", "written", "recomputed", "changed")
SIX = CacheGrid("all", tuple("abcdef"), Array.of([range(6)], "u1"), ALL, row_names=("first",))
LAYERS = CacheGrid("layers", ("a", "b"), Array.of([[1, 3]] * 30, "u1"), ALL)
ODD = (
    CacheGrid("g", (), Array.of([], "u1"), ()),
    CacheGrid("g", ("\x1b[31m🦜",), Array.of([[9]], "u1"), ALL, "\x1b", ("\u202e日本語日本語日本語",), "\x1b" * 90),
    CacheGrid("g", (), Array.of([[1] * 1000] * 1000, "u1"), ALL),
)


def test_the_triangle_of_what_is_computed_again_is_one_shape() -> None:
    """You should see a checked triangle below a solid diagonal, dots above it."""
    lines = view_text(CACHE_GRID, 40).splitlines()
    assert lines[1:5] + lines[12:] == [
        "step The ·of ·ship bul ·Quist",
        "   0 ██······················",
        "   1 ▚▚██····················",
        "   2 ▚▚▚▚██··················",
        "  10 ▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚██··",
        "  11 ▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚██",
        "█ written now 12   ▚ computed again 66",
        "· empty 66   1 cell is 1 token in 1 step",
    ]
    assert view_text(CACHE_GRID, 76).splitlines()[1:4] == [
        "step The  ·captain  ·the ·ship     ·Zor bul  on   ·Quist    ·He",
        "   0 ████ ···· ···· ···· ···· ···· ···· ···· ···· ···· ···· ····",
        "   1 ▚▚▚▚ ████ ···· ···· ···· ···· ···· ···· ···· ···· ···· ····",
    ]
    assert view_text(CACHE_GRID, 120).splitlines()[2].startswith("   0 ███████ ·······")


def test_each_state_has_a_sign_of_its_own_and_only_those_that_occur_are_explained() -> None:
    lines = view_text(SIX, 120).splitlines()
    assert lines[2] == "first ······· ░░░░░░░ ▒▒▒▒▒▒▒ ███████ ▚▚▚▚▚▚▚ ◆◆◆◆◆◆◆"
    assert lines[3].startswith(
        "◆ changed 1   █ written now 1   ▚ computed again 1   ▒ read back 1   ░ kept 1   · empty 1"
    )
    assert "changed" not in view_text(CACHE_GRID, 120)


def test_many_rows_are_thinned_out_evenly_and_the_cursors_row_is_in_sight() -> None:
    lines = view_text(LAYERS, 76).splitlines()
    assert " ".join(line.split()[0] for line in lines[2:16]) == "0 2 4 7 9 11 13 16 18 20 22 25 27 29"
    assert "14 of 30 layers in sight" in " ".join(lines[16:])
    rows = [plain(row) for row in cache_grid_rows(LAYERS, 76, cursor=(12, 1))]
    assert any(row.split()[0] == "12" and "[" in row for row in rows)


def test_what_is_said_at_the_cursor() -> None:
    assert cell_facts(CACHE_GRID, states_of(CACHE_GRID), 3, 1) == "step 3 · token 2 ·captain · computed again"


@pytest.mark.parametrize("view", [*ODD, CACHE_GRID, SIX, LAYERS])
@pytest.mark.parametrize("width", [12, 40, 76, 120])
def test_odd_input_is_drawn_within_the_width(view: CacheGrid, width: int) -> None:
    for row in cache_grid_rows(view, width, cursor=(0, 0) if states_of(view) else None)[1:]:
        assert cell_len(plain(row)) <= width
        assert "\x1b" not in plain(row)


def test_rows_that_are_passes_are_counted_as_passes() -> None:
    assert "4 of 12 steps in sight" in plain(cache_grid_rows(CACHE_GRID, 100, 4)[-1])
    passes = structs.replace(CACHE_GRID, row_label="pass")
    assert "4 of 12 passes in sight" in plain(cache_grid_rows(passes, 100, 4)[-1])
