"""Drawing, as plain strings."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from textual.color import Color

from llm_holes.engine.frames import (
    Array,
    Bars,
    Curve,
    Diff,
    Heatmap,
    Mark,
    Scatter,
    Series,
    Table,
    Text,
    Token,
    Tokens,
    View,
)
from llm_holes.tui.draw import colours
from llm_holes.tui.draw.arrays import matrix
from llm_holes.tui.draw.curve import curve_rows
from llm_holes.tui.draw.diff import diff_rows
from llm_holes.tui.draw.map import (
    axis_row,
    cell_facts,
    grid_height,
    grid_of,
    grid_row,
    head_row,
    legend_row,
    scale_of,
    strip_of,
    strip_row,
    token_facts,
)  # fmt: skip
from llm_holes.tui.draw.sanitize import clean
from llm_holes.tui.draw.scatter import scatter_rows
from llm_holes.tui.draw.spans import (
    Row,
    aligned,
    bar_rows,
    cell_len,
    fit,
    named,
    plain,
    table_rows,
    text_rows,
    wrapped,
    written,
)
from llm_holes.tui.draw.words import marked_rows
from llm_holes.tui.views.base import contrast, shades

FOREIGN = st.text(st.characters(), max_size=30) | st.sampled_from(["[/]", "[b]x", "\x1b[2J", "a\u202eb", "今天", ""])
NUMBERS = st.floats(width=32) | st.integers(-(10**9), 10**9).map(float)


def texts(rows: list[Row]) -> list[str]:
    return [plain(row).rstrip() for row in rows]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (49152, "49,152"), (True, "yes"), (False, "no"), (1.0, "1"), (4.36, "4.36"), (0.001234, "0.00123"),
        (1.5e-7, "under 0.000001"), (134515008.0, "134,515,008"), (1234.5678, "1,235"), (-2.25, "-2.25"),
        (math.nan, "–"), (math.inf, "∞"), ("a\x1b", "a␛"),
    ],
)  # fmt: skip
def test_numbers_read_well(value: float | str, shown: str) -> None:
    assert written(value) == shown


def test_a_column_of_numbers_shares_its_decimals() -> None:
    assert aligned([0.612, 0.1, 0.0083]) == ["0.6120", "0.1000", "0.0083"]
    assert aligned([4.36, 4.8, 1.0]) == ["4.36", "4.80", "1.00"]
    assert aligned([1.0, 200.0, math.nan]) == ["1", "200", "–"]
    assert aligned([739.13, 0.143]) == ["739.13", "0.14"]
    assert aligned([739.13, 1e-5]) == ["739", "0.00001"]
    assert aligned([1e-9, 1.0]) == ["under 0.000001", "1"]
    assert aligned([0.5, 1e-9, 1.0], "percent") == ["50 %", "under 0.01 %", "100 %"]


def test_fit_counts_cells_not_characters() -> None:
    assert fit("今天天气", 5) == "今天…"
    assert fit("ab", 4) == "ab  "
    assert fit("7", 3, right=True) == "  7"


def test_wrapping_breaks_at_spaces_and_inside_long_words() -> None:
    assert wrapped("the cat sat on it", 8) == ["the cat", "sat on", "it"]
    assert wrapped("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert wrapped("a\n\nb", 9) == ["a", "", "b"]


@given(FOREIGN, st.integers(1, 30))
def test_wrapping_loses_no_visible_character(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(clean(text).split())
    assert all(cell_len(line) <= max(width, 2) for line in lines)


def test_bars_line_up() -> None:
    assert texts(bar_rows(Bars("next", (" Paris", "the"), (0.6, 0.15), "p", 0), 36)) == [
        "next  p",
        "▸ ·Paris  ████████████████████  0.60",
        "  the     █████                 0.15",
    ]


def test_bars_stand_apart_where_there_is_room_and_are_thick_where_there_is_more() -> None:
    bars = Bars("next", (" Paris", "the"), (0.6, 0.15), "p", 0)
    first, second = "▸ ·Paris  ████████████████████  0.60", "  the     █████                 0.15"
    assert texts(bar_rows(bars, 36, room=4))[1:] == [first, "", second]
    thick = [first, "          ████████████████████", "", second, "          █████"]
    assert texts(bar_rows(bars, 36, room=6))[1:] == texts(bar_rows(bars, 36, room=40))[1:] == thick


@pytest.mark.parametrize("room", range(0, 40, 3))
def test_bars_take_no_more_room_than_there_is(room: int) -> None:
    many = Bars("t", tuple("abcdefgh"), tuple(map(float, range(8))))
    assert len(bar_rows(many, 40, room=room)) <= max(room, 9)


def test_bars_below_zero_grow_to_the_left() -> None:
    rows = texts(bar_rows(Bars("change", ("a", "b"), (-1.0, 1.0)), 21))
    assert rows[1:] == ["  a  ██████        -1", "  b        ██████   1"]


def test_a_small_bar_below_zero_is_as_small_as_one_above() -> None:
    rows = texts(bar_rows(Bars("fires", ("a", "b", "c"), (1000.0, -1.0, -30.0)), 60))
    assert [row.count("█") + row.count("▐") for row in rows[2:]] == [0, 1]
    assert "▕" in rows[2]


@pytest.mark.parametrize("width", [36, 60, 120])
def test_bars_with_a_range_fill_it_only_where_the_value_does(width: int) -> None:
    title, *rows = texts(bar_rows(Bars("next", ("a", "b"), (0.08, 1.0), "probability", range=(0, 1)), width))
    assert title == "next  probability, 0-100 %"
    few, whole = (row.count("█") for row in rows)
    assert few < whole / 8
    assert [row.rpartition("  ")[2].strip() for row in rows] == ["8 %", "100 %"]


def test_bars_of_cosines_have_their_zero_in_the_middle_and_say_where_the_axis_ends() -> None:
    title, row = texts(bar_rows(Bars("near", ("a",), (0.5,), range=(-1, 1)), 31))
    assert title == "near  -1 to 1"
    assert row == "  a            █████▌       0.5"


def test_a_bar_beyond_its_range_widens_the_axis() -> None:
    assert texts(bar_rows(Bars("near", ("a",), (2.0,), range=(-1, 1)), 31))[0] == "near  -1 to 2"
    assert texts(bar_rows(Bars("parts", ("a",), (60.0,), "%", range=(0, 100)), 31))[0] == "parts  0-100 %"


def test_table_aligns_numbers_right_and_marks_a_row() -> None:
    table = Table("t", ("name", "tokens", "exact"), (("ours", 11, True), ("cl100k", 1048, False)), 1)
    assert texts(table_rows(table, 60)) == [
        "t",
        "  name    tokens  exact",
        "  ours        11  yes",
        "▸ cl100k   1,048  no",
    ]


def test_table_wraps_text_that_does_not_fit() -> None:
    rows = texts(table_rows(Table("t", ("n", "why"), ((1, "a long reason indeed"),)), 18))
    assert rows == ["t", "  n  why", "  1  a long reason", "     indeed"]


def test_text_is_literal() -> None:
    assert texts(text_rows(Text("answer", "a [b]c\n\x1b[2J"), 30)) == ["answer", "▎ a [b]c", "▎ ␛[2J"]


def test_diff_marks_what_went_and_came_without_colour() -> None:
    rows = texts(diff_rows(Diff("d", "the cat sat", "the dog sat", "then", "now"), 60))
    assert rows == ["d", "[-then-]  [+now+]", "the [-cat-][+dog+] sat"]


@pytest.mark.parametrize("width", [30, 60, 120])
def test_texts_with_little_in_common_stand_one_above_the_other(width: int) -> None:
    before, after = "The French language is spoken by many people.", "The capital of France is Paris, as all know."
    rows = diff_rows(Diff("answers", before, after, "as it is", "steered"), width)
    assert not any("[-" in text or "[+" in text for text in texts(rows))
    split = texts(rows).index("steered")
    assert texts(rows)[:2][-1] == "as it is"
    assert " ".join(text.removeprefix("│ ") for text in texts(rows)[2:split]) == before
    assert " ".join(text.removeprefix("┃ ") for text in texts(rows)[split + 1 :]) == after
    assert [span.text for row in rows[2:split] for span in row if span.role == "dim" and span.text.isalpha()] == [
        "The",
        "is",
    ]
    assert all(cell_len(text) <= width for text in texts(rows))


def test_a_text_that_goes_on_is_still_one_text() -> None:
    assert "Paris.[+ And" in " ".join(texts(diff_rows(Diff("d", "Paris.", "Paris. And so on it goes."), 60)))


def test_equal_texts_say_so() -> None:
    assert texts(diff_rows(Diff("d", "same", "same"), 40))[0] == "d  the same, word for word"


def test_a_line_rises_across_the_plot() -> None:
    view = Curve("time", (Series("s", (0, 5, 10), (0, 50, 100)),), "tokens", "ms")
    assert texts(curve_rows(view, 30, lines=4)) == [
        "time  ms",
        "      100┤               ⣀⡠⠔⠒⠉",
        "       50┤         ⢀⣀⠤⠔⠊⠉",
        "         │    ⢀⣀⠤⠒⠊⠁",
        "        0┤⣀⠤⠒⠊⠁",
        "         └┬─────────┬────────┬",
        "          0         5       10",
        "                        tokens",
    ]


def test_series_are_told_apart_by_their_dashes_and_names() -> None:
    view = Curve("t", (Series("a", (0, 1), (0, 1)), Series("b", (0, 1), (1, 0))))
    assert "── a   ╌╌ b" in texts(curve_rows(view, 40))[-1]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_four_series_have_four_strokes_and_four_colours(width: int) -> None:
    view = Curve("t", tuple(Series(name, (0, 1), (n, n)) for n, name in enumerate("abcd")))
    rows = curve_rows(view, width)
    assert "── a   ╌╌ b   ·· c   ─· d" in texts(rows)[-1]
    lines = [[span for span in row if span.text and 0x2800 < ord(span.text[0]) < 0x2900] for row in rows]
    assert len({row[0].role for row in lines if row}) == 4


def test_log_axis_has_powers_of_ten_and_drops_what_has_no_logarithm() -> None:
    rows = texts(curve_rows(Curve("t", (Series("s", (0, 1, 2), (1, 0, 100)),), log_y=True), 40, lines=5))
    assert [row.split("┤")[0].strip() for row in rows if "┤" in row] == ["100", "10", "1"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_curve_with_a_range_goes_from_end_to_end_of_it(width: int) -> None:
    view = Curve("c", (Series("a", (0, 1), (0.001, 0.013)),), "x", "P(x)", y_range=(0, 1))
    rows = texts(curve_rows(view, width))
    assert rows[0] == "c  P(x), 0-100 %"
    assert [row.split("┤")[0].strip() for row in rows if "┤" in row] == ["100 %", "50 %", "0 %"]
    assert not any(chr(0x2800) < character for row in rows[1:11] for character in row.split("│")[-1])


def test_an_axis_with_a_range_leaves_little_of_it_unused() -> None:
    rows = texts(curve_rows(Curve("c", (Series("a", (0, 1), (-0.5, 0.5)),), y_range=(-0.6, 0.6)), 40))
    ticks = [row.split("┤")[0].strip() for row in rows if "┤" in row]
    assert (ticks[0], ticks[-1]) == ("0.6", "-0.6")


@pytest.mark.parametrize("lines", [5, 12, 16])
@pytest.mark.parametrize("power", range(1, 14))
def test_ticks_of_a_logarithmic_axis_are_even_and_each_has_a_row(lines: int, power: int) -> None:
    view = Curve("c", (Series("a", (0, 1), (10.0**-power, 1.0)),), "x", "P(x)", log_y=True, y_range=(0, 1))
    rows = texts(curve_rows(view, 60, lines=lines))
    at = [index for index, row in enumerate(rows) if "┤" in row]
    gaps = [after - before for before, after in pairwise(at)]
    assert len(set(gaps)) == 1
    assert at[-1] - at[0] >= lines // 2
    assert rows[0] == "c  P(x) (log)"
    assert "100 %┤" in rows[1]
    assert not any("e-" in row or "⁻" in row for row in rows)


def test_named_points_of_a_curve_are_drawn_and_told_apart() -> None:
    """You should see the first point at the left end of the line, the second at its right end, and both named below."""
    line = (Series("a", (0, 10), (0, 10)),)
    rows = texts(curve_rows(Curve("t", line, marks=(Mark("start", 0, 0), Mark("end", 10, 10))), 40))
    assert rows[1].rstrip().endswith("○")
    assert rows[12].split("┤")[1].startswith("●")
    assert rows[-1].split() == ["●", "start", "○", "end"]
    outside = texts(curve_rows(Curve("t", line, log_y=True, marks=(Mark("nowhere", 5, -1),)), 40))
    assert not any("●" in row for row in outside[:-1])


def test_an_empty_curve_says_so() -> None:
    assert texts(curve_rows(Curve("t", ()), 40)) == ["t", "no points yet"]


STRIP = Tokens("t", tuple(Token(n * 100, word) for n, word in enumerate((b"Once", b" upon", b"\xe2\x80", b"\n"))))


def test_strip_wraps_with_ids_under_the_chips() -> None:
    strip = strip_of(STRIP, 14)
    rows = [plain(strip_row(STRIP, strip, y, None)).rstrip() for y in range(len(strip.lines) * strip.height)]
    assert rows == ["Once ·upon", "0    100", "‹e2›‹80› ⏎", "200      300"]


def test_strip_with_values_shows_them_as_heights() -> None:
    view = Tokens("t", STRIP.tokens, (0.0, 1.0, 0.5, math.nan), "p")
    strip = strip_of(view, 60)
    assert plain(strip_row(view, strip, 1, None)) == "▁▁▁▁ █████ ▅▅▅▅▅▅▅▅  "
    assert token_facts(view, 1) == "1  ·upon  id 100  bytes 20 75 70 6f 6e  p 1"


def heat(values: list[list[float]], width: int, glyphs: bool, cursor: tuple[int, int] | None = None) -> list[str]:
    view = Heatmap("h", Array.of(values), row_names=tuple(f"row {n}" for n in range(len(values))), unit="w")
    rows = matrix(view.values)
    grid, scale = grid_of(view, rows, width, glyphs), scale_of(view, rows)
    return [plain(grid_row(view, rows, scale, grid, y, 0, cursor, glyphs)) for y in range(grid_height(grid, rows))]


def test_small_map_without_colour_uses_shades_and_leaves_nan_blank() -> None:
    assert heat([[0.25, math.nan], [0.5, 1.0]], 10, glyphs=True) == ["row 0 ··  ", "row 1 ▒▒██"]


def test_large_map_holds_two_rows_in_a_line() -> None:
    rows = heat([[float(r * c) for c in range(40)] for r in range(41)], 50, glyphs=False)
    assert len(rows) == 21
    assert rows[0] == " row 0 " + "▀" * 40


def test_negative_values_have_glyphs_of_their_own() -> None:
    assert heat([[-1.0, 0.0, 1.0]], 12, glyphs=True) == ["row 0 ##··██"]


def test_axis_names_the_column_of_the_cursor() -> None:
    view = Heatmap("h", Array.of([[1, 2, 3]]), "from", "to", column_names=("a", "b", " c"))
    rows = matrix(view.values)
    grid = grid_of(view, rows, 20, False)
    assert plain(axis_row(view, grid, 0, 3, (0, 2))).endswith("▴ ·c")
    assert plain(axis_row(view, grid, 0, 3, None)).strip() == "to 0–2"
    assert cell_facts(view, rows, 0, 2) == "from 0 × to 2: ·c = 3"


def test_legend_gives_the_ends_of_the_scale() -> None:
    view = Heatmap("h", Array.of([[-2.0, 1.0]]), unit="logits")
    assert plain(legend_row(view, scale_of(view, matrix(view.values)), True)) == "-2 # x = - · ░ ▒ ▓ █ 2  logits"


def test_maps_of_weights_and_of_cosines_have_fixed_scales() -> None:
    weights, cosines, difference = (
        Heatmap("h", Array.of([[low, 0.25]]), unit=unit)
        for low, unit in ((0.0, "weight"), (-0.5, "cosine"), (-0.5, "weight"))
    )
    maps = (weights, cosines, difference)
    legends = [plain(legend_row(view, scale_of(view, matrix(view.values)), True)) for view in maps]
    assert legends == ["0 · ░ ▒ ▓ █ 1  weight", "-1 # x = - · ░ ▒ ▓ █ 1  cosine", "-0.5 # x = - · ░ ▒ ▓ █ 0.5  weight"]


def test_shades_of_weights_grow_with_the_square_root_and_leave_out_what_is_next_to_nothing() -> None:
    scale = scale_of(view := Heatmap("h", Array.of([[0.0, 0.5]]), unit="weight"), matrix(view.values))
    assert [scale.heat(value) for value in (0.0, 0.029, 0.0625, 0.25, 1.0)] == [0, 0, 0.25, 0.5, 1]
    assert scale.heat(math.nan) is None


@pytest.mark.parametrize(("width", "cell"), [(72, 2), (100, 3), (160, 3)])
@pytest.mark.parametrize("glyphs", [True, False])
def test_a_map_of_thirty_words_has_wide_cells_of_full_height_and_all_its_names(
    width: int, cell: int, glyphs: bool
) -> None:
    names = tuple(f" w{n}" for n in range(30))
    view = Heatmap("h", Array.of([[0.5] * 30] * 30), row_names=names, column_names=names, unit="weight")
    rows = matrix(view.values)
    grid = grid_of(view, rows, width, glyphs)
    assert (grid.tall, grid.cell, grid.columns) == (True, cell, 30)
    heads = [plain(head_row(view, grid, y, 0, 30, None)) for y in range(grid.heads)]
    assert all(cell_len(head) <= width for head in heads)
    told = [name for head in heads for name in head.split()]
    assert len(told) == 30
    for n, name in enumerate(names):
        start = grid.names + 1 + n * cell
        assert heads[n % grid.heads][start : start + 2] == named(name)[:2]


def test_a_map_of_a_hundred_rows_holds_two_in_a_line_and_a_low_one_names_every_row() -> None:
    wide = Heatmap("h", Array.of([[1.0] * 90] * 4), row_names=("a", "b", "c", "d"))
    assert grid_of(wide, matrix(wide.values), 60, False).tall
    high = Heatmap("h", Array.of([[1.0] * 9] * 100))
    assert not grid_of(high, matrix(high.values), 60, False).tall


def test_empty_cells_stand_out_from_the_ground_and_words_from_their_cells() -> None:
    for theme in (colours.DARK, colours.LIGHT):
        ground, ink = Color.parse(theme["ground"]), Color.parse(theme["ink"])
        ramp, inks = shades(ground, ink, Color.parse(theme["measured"]), Color.parse(theme["muted"]))
        assert 1.6 <= contrast(Color.parse(ramp[0]), ground) < 1.8
        assert all(contrast(Color.parse(ramp[n]), Color.parse(inks[n])) >= 3 for n in ramp)


def test_points_stand_where_they_lie_with_their_labels() -> None:
    view = Scatter("map", ("low", "high"), (0, 1), (0, 1), ("a", "b"))
    assert texts(scatter_rows(view, 40, lines=3)) == ["map", " " * 30 + "○ high", "", "● low", "● a   ○ b"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_groups_of_points_have_a_mark_and_a_hue_each(width: int) -> None:
    view = Scatter("map", ("low", "high", "top"), (0, 1, 0), (0, 1, 2), ("a", "b", "c"))
    spans = [span for row in scatter_rows(view, width, lines=3) for span in row if span.text.strip()]
    assert {span.role for span in spans if span.text[0] in "●○◆"} == {"hue0", "hue1", "hue2"}
    assert [span.role for span in spans if span.text.startswith("○")] == ["hue1", "hue1"]


@st.composite
def views(draw: st.DrawFn) -> View:
    """Any view with any text and any numbers in it."""
    some = st.lists(FOREIGN, min_size=1, max_size=4)
    names = tuple(draw(some))
    values = tuple(draw(st.lists(NUMBERS, min_size=len(names), max_size=len(names))))
    return draw(
        st.sampled_from(
            [
                Bars(names[0], names, values, names[-1]),
                Table(names[0], names, (names, values)),
                Text(names[0], names[-1]),
                Diff(names[0], names[0], names[-1], names[0], names[-1]),
                Curve(names[0], (Series(names[-1], values, values, values, values),), names[0], names[-1]),
                Curve(names[0], (Series(names[-1], values, values),), log_y=True),
            ]
        )
    )


@example(Diff("t", "0", "00", "", "0" * 37), 36)
@given(views(), st.integers(36, 100))
def test_any_view_draws_within_its_width_and_without_control_characters(view: View, width: int) -> None:
    draw = {Bars: bar_rows, Table: table_rows, Text: text_rows, Diff: diff_rows, Curve: curve_rows}[type(view)]
    for text in texts(draw(view, width)):  # type: ignore[operator]
        assert text == clean(text).replace("\n", "")
        assert cell_len(text) <= width or text == texts(draw(view, width))[0]  # type: ignore[operator]


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=30), st.integers(4, 60))
def test_any_tokens_lay_out_within_the_width(pieces: list[bytes], width: int) -> None:
    view = Tokens("t", tuple(Token(n, piece) for n, piece in enumerate(pieces)))
    strip = strip_of(view, width)
    for y in range(len(strip.lines) * strip.height):
        text = plain(strip_row(view, strip, y, None))
        assert cell_len(text) <= width
        assert text == clean(text)
    assert [n for line in strip.lines for n in line] == list(range(len(pieces)))


def test_a_column_of_unlike_numbers_rounds_each_for_itself() -> None:
    rows = (("perplexity", 22.786, 93.644), ("KL, nats", 0.0, 1.4026), ("bytes", 538_060_032, 67_789_824))
    shown = [line.split() for line in map(plain, table_rows(Table("", ("", "intact", "rounded"), rows), 60))]
    assert ["perplexity", "22.8", "93.6"] in shown
    assert ["KL,", "nats", "0", "1.4"] in shown
    assert ["bytes", "538,060,032", "67,789,824"] in shown


def test_bars_are_in_percent_by_their_unit_or_where_there_is_none_by_their_title() -> None:
    assert plain(bar_rows(Bars("P(20) after", ("notes",), (0.9942,)), 40)[1]).endswith("  99.4 %")
    assert plain(bar_rows(Bars("after top-k", ("Paris",), (0.058,), "probability"), 40)[1]).endswith("  5.8 %")
    assert plain(bar_rows(Bars("P(20) after", ("notes",), (0.5,), "nats"), 40)[1]).endswith("  0.5")


def test_probabilities_in_a_table_are_in_percent_by_the_name_of_their_column_or_row() -> None:
    rows = (("direct", 0.0485, 1e-9), ("after its notes", 0.9942, 0.25))
    shown = [plain(row) for row in table_rows(Table("", ("", "P(right)", "hit rate"), rows), 60)]
    assert shown[-2].split()[1:] == ["4.9", "%", "under", "0.01", "%"]
    assert shown[-1].split()[3:] == ["99.4", "%", "25", "%"]
    rows = (("loss, nats", 5.824, 0.93), ("P( Zog)", 3.8e-6, 0.506), ("7 softmax", 0.5, 0.5))
    shown = [plain(row).rstrip() for row in table_rows(Table("", ("", "before", "after"), rows), 60)]
    assert shown[-3].endswith("5.82   0.93")
    assert shown[-2].endswith("under 0.01 %   51 %")
    assert shown[-1].endswith("0.5    0.5")


@pytest.mark.parametrize(
    ("view", "labels"),
    [
        (Curve("c", (Series("a", (0, 1), (0.0, 0.5)),), "x", "P(x)"), ["60 %", "40 %", "20 %", "0 %"]),
        (Curve("c", (Series("a", (0, 1), (1e-6, 1.0)),), "x", "P(x)", log_y=True), ["100 %", "1 in 1 million"]),
        (Curve("c", (Series("a", (0, 1), (1e-9, 1.0)),), "x", "ms", log_y=True), ["1", "0.00000001"]),
        (Curve("c", (Series("a", (0, 1), (0.0, 5e7)),), "x", "ms"), ["60 million", "20 million", "0"]),
        (Curve("c", (Series("a", (0, 1), (10.25, 10.27)),), "x", "ms"), ["10.27", "10.25"]),
    ],
)  # fmt: skip
def test_an_axis_has_no_powers_of_ten_where_words_do(view: Curve, labels: list[str]) -> None:
    shown = [line.split("┤")[0].strip() for line in texts(curve_rows(view, 60)) if "┤" in line]
    assert [label for label in shown if label in labels] == labels
    assert not any("e" in label.replace("percent", "") for label in shown)


def test_what_stands_between_backticks_is_marked_and_the_backticks_are_gone() -> None:
    first, second = marked_rows("Does `the cat` sit?", 9, "strong")
    assert (plain(first), plain(second)) == ("Does the", "cat sit?")
    assert [span.role for span in (*first, *second)] == ["strong", "code", "code", "strong"]
