"""Two pictures on one scale: equal numbers are drawn equally, whichever picture they are in."""

from __future__ import annotations

import math

import pytest

from llm_holes.engine.frames import Array, Bars, Curve, Gallery, Heatmap, RankRace, Runner, Series, Text, View
from llm_holes.tui.draw.arrays import matrix
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.map import Scale, scale_of
from llm_holes.tui.draw.spans import bar_rows, plain
from llm_holes.tui.state.one_scale import merged, on_one_scale

WIDTHS = [38, 60, 90]


def drawn(view: View, width: int) -> list[str]:
    return view_text(view, width).split("\n")


def bars(a: Bars, b: Bars) -> tuple[Bars, Bars]:
    one, other = on_one_scale(a, b)
    assert isinstance(one, Bars)
    assert isinstance(other, Bars)
    return one, other


@pytest.mark.parametrize("width", WIDTHS)
def test_equal_bars_are_equally_long_in_both(width: int) -> None:
    a = Bars("time", ("prefill", "decode"), (3.0, 12.0), "ms")
    b = Bars("time", ("decode", "prefill"), (3.0, 1.5), "ms", 1)
    one, other = bars(a, b)
    assert one.range == other.range == (0.0, 12.0)
    assert other.labels == one.labels
    first, second = ([plain(row) for row in bar_rows(v, width, t)] for v, t in ((one, other), (other, one)))
    assert first[0].endswith("ms, 0 to 12")
    assert second[0].endswith("ms, 0 to 12")
    assert [row.count("█") for row in first[1:2]] == [row.count("█") for row in second[2:]] != [0]
    assert first[1].index("█") == second[2].index("█")
    assert len(first[1]) == len(second[2]) <= width


def test_bars_that_both_have_stand_in_one_order_and_the_pointer_goes_with_its_bar() -> None:
    a = Bars("next", (" Paris", " the", " a"), (0.6, 0.2, 0.1), "probability", 0)
    b = Bars("next", (" Lyon", " the", " Paris", " it"), (0.5, 0.3, 0.1, 0.05), "probability", 2)
    one, other = bars(a, b)
    assert one.labels == a.labels
    assert other.labels == (" Lyon", " Paris", " the", " it")
    assert other.values == (0.5, 0.1, 0.3, 0.05)
    assert (one.marked, other.marked) == (0, 1)


def test_bars_with_nothing_in_common_or_a_name_twice_keep_their_order() -> None:
    assert merged(("a", "b"), ("c",)) == {}
    assert merged(("a", "b"), ("b", "b", "a")) == {}
    assert list(merged(("a", "b"), ("b", "x", "a"))) == ["a", "b", "x"]


def test_shares_stay_shares_and_counts_that_end_at_one_do_not_become_any() -> None:
    share = Bars("kept", ("a",), (0.4,), range=(0, 1))
    assert bars(share, share)[0].range == (0, 1)
    one, _ = bars(Bars("found", ("a",), (1.0,)), Bars("found", ("a",), (0.0,)))
    assert "%" not in "".join(drawn(one, 60))
    assert drawn(one, 60)[0] == "found  0 to 1"


@pytest.mark.parametrize("width", WIDTHS)
def test_curves_have_one_axis_up_and_one_across(width: int) -> None:
    a = Curve("time", (Series("x", (0.0, 50.0), (10.0, 20.0)),), "tokens", "ms")
    b = Curve("time", (Series("x", (0.0, 200.0), (100.0, 900.0), (90.0, 800.0), (110.0, math.nan)),), "tokens", "ms")
    one, other = on_one_scale(a, b)
    assert isinstance(one, Curve)
    assert isinstance(other, Curve)
    assert one.y_range == other.y_range == (10.0, 900.0)
    assert one.x_range == other.x_range == (0.0, 200.0)
    left, right = drawn(one, width), drawn(other, width)
    axes = [[line[:10] for line in lines[1:13]] + lines[13:] for lines in (left, right)]
    assert axes[0] == axes[1]
    assert any("1,000" in line for line in left)


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show() -> None:
    a = Curve("odds", (Series("p", (0.0, 1.0), (0.0, 0.01)),), y_label="probability", log_y=True)
    b = Curve("odds", (Series("p", (0.0, 1.0), (1e-6, 0.5)),), y_label="probability", log_y=True)
    one, _ = on_one_scale(a, b)
    assert isinstance(one, Curve)
    assert one.y_range == (1e-6, 0.5)


@pytest.mark.parametrize("width", WIDTHS)
def test_equal_cells_have_equal_shades_in_both_maps(width: int) -> None:
    a = Heatmap("change", Array.of([[0.0, 1.0], [math.nan, 0.5]]), "from", "to", unit="logits")
    b = Heatmap("change", Array.of([[-4.0, 1.0], [2.0, 8.0]]), "from", "to", unit="logits")
    one, other = on_one_scale(a, b)
    assert isinstance(one, Heatmap)
    assert isinstance(other, Heatmap)
    assert one.range == other.range == (-4.0, 8.0)
    assert scale_of(one, matrix(one.values)) == scale_of(other, matrix(other.values)) == Scale(-4.0, 8.0)
    left, right = drawn(one, width), drawn(other, width)
    assert left[-1] == right[-1], "one legend"
    assert left[1][-3:] == right[1][-3:]


def test_weights_stay_between_0_and_1() -> None:
    a = Heatmap("looks", Array.of([[0.25, 0.75]]), unit="weight")
    one, _ = on_one_scale(a, a)
    assert isinstance(one, Heatmap)
    assert scale_of(one, matrix(one.values)) == Scale(0.0, 1.0, root=True)


def test_small_maps_and_ranks_share_their_scale_too() -> None:
    def maps(top: float) -> Gallery:
        return Gallery("heads", Array.of([[[0.0, top]]]), ("h",), unit="norm")

    one, other = on_one_scale(maps(2.0), maps(5.0))
    assert isinstance(one, Gallery)
    assert one.range == (0.0, 5.0)
    assert drawn(one, 40)[1] == drawn(other, 40)[1]
    one, other = on_one_scale(
        RankRace("race", ("a",), (Runner("x", (3,)),)), RankRace("race", ("a",), (Runner("x", (900,)),))
    )
    assert isinstance(one, RankRace)
    assert isinstance(other, RankRace)
    assert one.last == other.last == 900


def test_views_of_unlike_kinds_and_those_without_a_scale_stay_as_they_are() -> None:
    text, chart = Text("said", "Paris"), Bars("next", ("a",), (1.0,))
    for pair in ((text, text), (text, chart)):
        assert on_one_scale(*pair) == pair
    empty = Heatmap("none", Array.of([[math.nan]]))
    assert on_one_scale(empty, empty) == (empty, empty)
