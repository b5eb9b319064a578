"""What is said of A and B below their pictures: what was set otherwise, then the three most telling differences."""

from __future__ import annotations

import pytest

from llm_holes.engine.frames import Frame, Value
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.state.compare import Pinned
from llm_holes.tui.state.telling import change, difference_rows, most_telling, pinned_rows, what_changed

LABELS = {"layer": "layer", "text": "text", "max_new_tokens": "new tokens"}
LONG = "The captain of the ship was Zorbulon Quist."


def run(measured: dict[str, Value], model: str = "intact", **settings: Value) -> Pinned:
    return Pinned(1, "tokens", settings, Frame("done", (), measured), model)


def names(a: Pinned, b: Pinned) -> list[str]:
    return [difference.name for difference in most_telling(a, b)]


def test_the_largest_relative_changes_come_first_and_times_last() -> None:
    a = run({"total_ms": 10.0, "tokens": 100, "speedup": 2.0, "p_next": 0.98, "kl_nats": 0.1})
    b = run({"total_ms": 900.0, "tokens": 101, "speedup": 3.0, "p_next": 0.003, "kl_nats": 0.1})
    assert names(a, b) == ["p next", "speedup", "tokens"]
    told = most_telling(a, b)[0]
    assert (told.a, told.b, told.by) == ("98 %", "0.3 %", "-98 points")
    b = run({"total_ms": 900.0, "tokens": 100, "speedup": 3.0, "p_next": 0.98, "kl_nats": 0.1})
    assert names(a, b) == ["speedup", "total"]


def test_a_change_is_a_part_of_the_larger_value() -> None:
    assert change("tokens", 50, 100) == change("tokens", 100, 50) == 0.5
    assert change("cosine", -1.0, 1.0) == 2.0
    assert change("tokens", 0, 0) == 0.0
    for name, one, other in (("equal", True, False), ("next", "Paris", "Lyon"), ("most_important_layer", 2, 19)):
        assert change(name, one, other) == 0.5


def test_what_repeats_a_setting_reads_the_same_or_is_long_is_not_named() -> None:
    a = run({"heads_off": 1, "p": 0.98, "answer": LONG, "path": [1, 2], "next": " Paris"}, heads_off=1)
    b = run({"heads_off": 7, "p": 0.9800001, "answer": LONG * 2, "path": [3, 4], "next": " Lyon"}, heads_off=7)
    (only,) = most_telling(a, b)
    assert (only.name, only.a, only.b, only.by) == ("next", "·Paris", "·Lyon", "")


def test_what_was_set_otherwise_is_one_line_in_the_dials_words() -> None:
    a, b = run({}, layer=18, text=LONG, max_new_tokens=8), run({}, layer=3, text=LONG + "!", max_new_tokens=8)
    assert what_changed(a, b, LABELS) == "layer 18 → 3 · another text"
    assert what_changed(a, a, LABELS) == "the same settings as A"
    assert what_changed(a, run({}, "broken", **a.settings), LABELS) == "the model intact → broken"


@pytest.mark.parametrize("width", [50, 76, 120])
def test_each_difference_is_one_line_in_columns_and_fits(width: int) -> None:
    a = run({"weight_on_first_token": 0.98, "tokens": 11, "text_differs": False}, layer=18, text=LONG)
    b = run({"weight_on_first_token": 0.003, "tokens": 14, "text_differs": True}, layer=3, text=LONG)
    head, *rows = [plain(row) for row in difference_rows(a, b, LABELS, width)]
    assert head == "B: layer 18 → 3"
    assert len(rows) == 3
    assert all(len(row) <= width for row in rows)
    assert len({row.index("A ", 10) for row in rows}) == len({row.index("B ", 10) for row in rows}) == 1
    assert "A 98 %" in rows[0]
    assert "B 0.3 %" in rows[0]
    assert rows[2].endswith("B − A +3")
    nothing = [plain(row) for row in difference_rows(a, a, LABELS, width)]
    assert nothing == ["B: the same settings as A", "nothing that was measured differs"]


@pytest.mark.parametrize("width", [50, 76, 120])
def test_what_is_pinned_is_said_before_there_is_a_b(width: int) -> None:
    head, how = [plain(row) for row in pinned_rows(run({}, layer=18, text=LONG, max_new_tokens=8), LABELS, width)]
    assert head == "A is pinned: layer 18 · new tokens 8"
    assert max(len(head), len(how)) <= width
    if width >= 76:
        assert how == "change something and run: B comes beside it · a lets A go"
