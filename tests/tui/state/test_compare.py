"""Two runs side by side: what was changed, each measurement with its difference, texts and maps."""

from __future__ import annotations

import math

import pytest

from llm_holes.engine.frames import Array, Diff, Frame, Heatmap, Table, Text, Value, View
from llm_holes.tui.draw.arrays import matrix
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.state.compare import Pinned, compared

LONG = "The cat sat on the mat and looked at the rain."


def run(measured: dict[str, Value], views: tuple[View, ...] = (), **settings: Value) -> Pinned:
    return Pinned(1, "tokens", settings, Frame("done", views, measured))


def table(views: tuple[View, ...], title: str) -> dict[str, tuple[object, ...]]:
    found = next(view for view in views if isinstance(view, Table) and view.title == f"A | B: {title}")
    return {str(row[0]): row[1:] for row in found.rows}


def test_only_settings_that_differ_are_listed() -> None:
    views = compared(run({}, text="a", bits=4), run({}, text="a", bits=2))
    assert table(views, "what was changed") == {"bits": ("4", "2")}
    same = compared(run({}, bits=4), run({}, bits=4))[0]
    assert isinstance(same, Text)
    assert "the same settings" in same.title


def test_numbers_have_a_signed_difference_in_one_column() -> None:
    views = compared(
        run({"kl_nats": 0.5, "tokens": 12, "nan": math.nan, "gone": 1}),
        run({"kl_nats": 0.25, "tokens": 15, "nan": 1.0, "new": 1}),
    )
    found = table(views, "measured")
    assert found["kl_nats"] == ("0.5 nats", "0.25 nats", "-0.25 nats")
    assert found["tokens"] == ("      12", "       15", "        +3")
    assert found["nan"][2] == "         –"
    assert set(found) == {"kl_nats", "tokens", "nan"}


def test_parts_flags_lists_and_short_texts_say_whether_they_differ() -> None:
    a = {"types": {"sink": 3, "none": 1}, "equal": True, "path": [1.0, 2.0], "next": " Paris"}
    b = {"types": {"sink": 5, "none": 1}, "equal": False, "path": [1.5, 2.0], "next": " Paris"}
    views = compared(run(a), run(b))
    assert table(views, "measured")["types: sink"] == ("3", "5", "+2")
    others = table(views, "also measured")
    assert others["equal"] == ("yes", "no", "differs")
    assert others["path"] == ("2 values", "2 values", "up to 0.5 apart")
    assert set(others) == {"equal", "path"}
    same = next(view for view in views if isinstance(view, Text) and "the same in both" in view.title)
    assert same.text == "types: none, next"


def test_long_texts_are_compared_word_by_word_and_once() -> None:
    other = LONG.replace("mat", "sofa")
    a = run({"answer": LONG}, (Text("what it wrote", LONG), Text("the prompt", "one")))
    b = run({"answer": other}, (Text("what it wrote", other), Text("the prompt", "two")))
    diffs = [view for view in compared(a, b) if isinstance(view, Diff)]
    assert [view.title for view in diffs] == ["A | B: answer", "A | B: the prompt"]
    assert (diffs[0].before, diffs[0].after) == (LONG, other)
    assert not [view for view in compared(a, a) if isinstance(view, Diff)]


def test_maps_of_one_shape_are_subtracted_cell_by_cell() -> None:
    def heat(*rows: list[float]) -> Heatmap:
        return Heatmap("weights", Array.of(rows), "from", "to", ("x", "y"))

    a, b = heat([1, 2], [math.nan, 4]), heat([1, 2.5], [math.nan, 3])
    found = next(view for view in compared(run({}, (a,)), run({}, (b,))) if isinstance(view, Heatmap))
    assert found.title == "B − A: weights"
    assert found.row_names == ("x", "y")
    flat = [value for row in matrix(found.values) for value in row]
    assert flat[:2] == [0, 0.5]
    assert math.isnan(flat[2])
    assert flat[3] == -1
    drawn = view_text(found, 60)
    assert "-1" in drawn
    assert "###" in drawn  # below zero
    assert not [view for view in compared(run({}, (a,)), run({}, (heat([1], [2]),))) if isinstance(view, Heatmap)]
    assert not [view for view in compared(run({}, (a,)), run({}, (a,))) if isinstance(view, Heatmap)]


@pytest.mark.parametrize("width", [30, 60, 120])
def test_the_drawing_fits(width: int) -> None:
    a = run({"speedup": 3.25, "answer": LONG}, text="x" * 200)
    b = run({"speedup": 22_000_000.5, "answer": "other"}, text="y" * 200)
    for view in compared(a, b):
        assert all(len(line) <= width for line in view_text(view, width).split("\n"))
