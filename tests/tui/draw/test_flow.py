"""The parts a text passes through, and the loop, as plain strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from llm_holes.engine.frames import Flow, Stage, StageState
from llm_holes.tui.draw.flow import flow_rows, stage_facts, stage_rows
from llm_holes.tui.draw.spans import plain

TRIP = Flow(
    "trip",
    (
        Stage("tokens", "done", "11 ids: 1 9690 198 2683 359", 0.046, "tokens"),
        Stage("embedding", "done", "11 vectors of 576 numbers", 0.011, "embeddings"),
        Stage("layers", "running", "", None),
        Stage("pick one"),
        Stage("stop"),
    ),
    (1, 3),
)


def texts(view: Flow, width: int, cursor: int | None = None) -> list[str]:
    return [plain(row).rstrip() for row in flow_rows(view, width, cursor)]


def turning(turns: int, state: StageState) -> Flow:
    """The trip with the loop on its way, and its last part in `state`."""
    done = tuple(Stage(stage.name, "done", stage.produced or "a vector", stage.ms) for stage in TRIP.stages[:-1])
    return Flow("trip", (*done, Stage("stop", state, "the end token")), (1, 3), turns)


def test_what_is_handed_on_stands_on_the_way_and_the_loop_is_broken_until_it_is_taken() -> None:
    assert texts(TRIP, 40) == [
        "trip",
        "  ● tokens     46 µs",
        "  │   11 ids: 1 9690 198 2683 359",
        "  ● embedding  11 µs ◂╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╮",
        "  │   11 vectors of 576 numbers        ┊",
        "  ◐ layers                             ┊",
        "  ┊   at work …                        ┊",
        "  ○ pick one ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╯",
        "  ┊",
        "  ○ stop",
    ]


def test_the_loop_goes_back_along_the_right_edge_with_its_turns() -> None:
    assert texts(turning(8, "running"), 76)[3:] == [
        "  ● embedding  11 µs ◂─────────────────────────────────────────────────────╮",
        "  │   11 vectors of 576 numbers                                            │",
        "  ● layers                                                                 │",
        "  │   a vector                                                             │",
        "  ● pick one ─────────────────────────────────────────────── × 8 so far ───╯",
        "  │   a vector",
        "  ◐ stop       the end token",
    ]
    assert "─ × 8 ───╯" in texts(turning(8, "done"), 76)[7], "no more will follow"
    wide = texts(turning(8, "running"), 120)
    assert max(map(len, wide)) == 96, "the way back stays near what it goes round"
    assert wide[4].endswith("│")


def test_states_are_marks_and_rows_do_not_jump_as_parts_light_up() -> None:
    waiting = Flow("trip", tuple(Stage(stage.name) for stage in TRIP.stages), (1, 3))
    assert [line[2] for line in texts(waiting, 76)[1::2]] == ["○"] * 5
    assert [line[2] for line in texts(TRIP, 76)[1::2]] == ["●", "●", "◐", "○", "○"]
    assert len(texts(waiting, 76)) == len(texts(TRIP, 76)) == len(texts(turning(2, "done"), 76)) == 10


def test_the_cursor_is_a_pointer_and_says_all_about_its_part() -> None:
    assert texts(TRIP, 76, cursor=1)[3].startswith("▸ ● embedding")
    assert stage_facts(TRIP, 1) == "embedding: 11 vectors of 576 numbers · 11 µs · enter opens embeddings"
    assert stage_facts(TRIP, 2) == "layers: running"
    assert stage_facts(turning(2, "done"), 3) == "pick one: a vector · then back to embedding"


def test_a_part_can_loop_to_itself() -> None:
    view = Flow("t", (Stage("think", "done", "a thought"), Stage("say", "running")), (0, 0), 3)
    assert texts(view, 40)[1] == "  ● think ↺ × 3 so far"


def test_long_lines_wrap_beside_the_way_back() -> None:
    view = Flow("t", (Stage("a", "done", "word " * 30), Stage("b")), (0, 1), 1)
    lines = texts(view, 40)
    assert all(line.endswith("│") and len(line) == 40 for line in lines[2:-1])


def test_where_there_are_few_rows_each_part_has_one() -> None:
    rows = [plain(row).rstrip() for row in flow_rows(turning(8, "done"), 60, None, 9)]
    assert rows == [
        "trip",
        "  ● tokens     46 µs  11 ids: 1 9690 198 2683 359",
        "  ● embedding  11 µs  11 vectors of 576 numbers ◂──────────╮",
        "  ● layers            a vector                             │",
        "  ● pick one          a vector ──────────────────── × 8 ───╯",
        "  ● stop              the end token",
    ]
    assert flow_rows(TRIP, 60, None, 99) == flow_rows(TRIP, 60)


@pytest.mark.parametrize("loop", [(3, 1), (0, 99), (-1, 0), None])
def test_a_loop_that_leads_nowhere_is_not_drawn(loop: tuple[int, int] | None) -> None:
    view = Flow("trip", TRIP.stages, loop, 2)
    assert not {"╮", "╯", "◂"} & set("".join(texts(view, 60)))
    assert texts(Flow("empty", (), loop), 60) == ["empty", "no parts yet"]


FOREIGN = st.text(st.characters(), max_size=40) | st.sampled_from(["[/]", "\x1b[2J", "a\u202eb", "今天" * 9, "🙂" * 30])


@given(
    st.lists(st.tuples(FOREIGN, st.sampled_from(["waiting", "running", "done"]), FOREIGN), max_size=5),
    st.tuples(st.integers(-1, 5), st.integers(-1, 5)) | st.none(),
    st.integers(0, 10**12),
    st.integers(32, 120),
)
def test_any_flow_stays_within_its_width(
    parts: list[tuple[str, StageState, str]], loop: tuple[int, int] | None, turns: int, width: int
) -> None:
    stages = tuple(Stage(name, state, said, 2.5) for name, state, said in parts)
    view = Flow("t", stages, loop, turns)
    assert len(stage_rows(view, width)) == len(parts)
    for row in [*flow_rows(view, width, 0), *flow_rows(view, width, 0, 2)]:
        assert cell_len(plain(row)) <= width
        assert "\x1b" not in plain(row)
