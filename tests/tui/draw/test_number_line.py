"""A histogram over a number line, as plain strings."""

from __future__ import annotations

import math

import pytest
from rich.cells import cell_len

from llm_holes.engine.frames import NumberLine
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.number_line import number_line_rows
from llm_holes.tui.draw.spans import plain

EDGES = tuple(n / 250 for n in range(-30, 31))
COUNTS = tuple(1200 * math.exp(-(((edge + 0.002) / 0.035) ** 2)) for edge in EDGES[:-1])
RUNGS = tuple(n * 0.016 for n in range(-7, 8))
VIEW = NumberLine("weights of one row", EDGES, COUNTS, RUNGS, (("a weight", 0.021), ("becomes", 0.016)), "per bin")

PICTURES = {
    40: """\
weights of one row  per bin
                  ▇██▄
                ▃█████▃
                ███████▆
              ▃█████████▃
             ▁███████████▆
            ▅█████████████▅▂
▁▁▁▁▁▁▁▁▂▂▅▇████████████████▅▄▂▁▁▁▁▁▁▁▁
─┼──┼──┼─┼──┼─┼──┼──┼─┼──┼─┼──┼──┼─┼──┼─
 -0.1               0              0.1
        becomes 0.016 ▲▲ a weight 0.021
█ how many lie there, 1,196 at the top
┼ 15 values left after rounding
""",
    76: """\
weights of one row  per bin
  ┊    ┊     ┊   ┊     ┊   ┊     ┊▄▇███▇▄  ┊    ┊    ┊    ┊    ┊    ┊    ┊
  ┊    ┊     ┊   ┊     ┊   ┊   ▃▃██████████▃    ┊    ┊    ┊    ┊    ┊    ┊
  ┊    ┊     ┊   ┊     ┊   ┊  ▆█████████████▆   ┊    ┊    ┊    ┊    ┊    ┊
  ┊    ┊     ┊   ┊     ┊   ▃▃█████████████████▃▃┊    ┊    ┊    ┊    ┊    ┊
  ┊    ┊     ┊   ┊     ┊ ▁▆█████████████████████▆▁   ┊    ┊    ┊    ┊    ┊
  ┊    ┊     ┊   ┊     ▂▅█████████████████████████▅▂▂┊    ┊    ┊    ┊    ┊
▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▂▂▂▄▅▇▇██████████████████████████████▇▅▄▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
──┼────┼─────┼───┼─────┼───┼─────┼────┼────┼────┼────┼────┼────┼────┼────┼──
    -0.1            -0.05             0            0.05             0.1
                             becomes 0.016 ▲▲ a weight 0.021
█ how many lie there, 1,196 at the top   ┼ 15 values left after rounding
""",
    120: """\
weights of one row  per bin
    ┊       ┊       ┊       ┊       ┊       ┊       ┊ ▄▄▇▇███▇▇▄▄  ┊       ┊       ┊       ┊       ┊       ┊       ┊
    ┊       ┊       ┊       ┊       ┊       ┊     ▃▃███████████████▃▃      ┊       ┊       ┊       ┊       ┊       ┊
    ┊       ┊       ┊       ┊       ┊       ┊   ▆▆███████████████████▆▆    ┊       ┊       ┊       ┊       ┊       ┊
    ┊       ┊       ┊       ┊       ┊       ▃▃███████████████████████████▃▃┊       ┊       ┊       ┊       ┊       ┊
    ┊       ┊       ┊       ┊       ┊   ▁▁▆▆███████████████████████████████▆▆▁▁    ┊       ┊       ┊       ┊       ┊
    ┊       ┊       ┊       ┊       ▂▂▅▅███████████████████████████████████████▅▅▂▂┊       ┊       ┊       ┊       ┊
▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▂▂▂▂▄▄▅▅▇▇███████████████████████████████████████████████▇▇▅▅▄▄▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
────┼───────┼───────┼───────┼───────┼───────┼───────┼───────┼──────┼───────┼───────┼───────┼───────┼───────┼───────┼────
        -0.1                     -0.05                      0                     0.05                      0.1
                                                     becomes 0.016 ▲  ▲ a weight 0.021
█ how many lie there, 1,196 at the top   ┼ 15 values left after rounding
""",
}


@pytest.mark.parametrize("width", PICTURES)
def test_the_picture_at_each_width(width: int) -> None:
    assert view_text(VIEW, width) + "\n" == PICTURES[width]


def test_dense_rungs_stay_on_the_line() -> None:
    view = NumberLine("t", EDGES, COUNTS, tuple(n / 1000 for n in range(-120, 121)))
    text = view_text(view, 76)
    assert "┊" not in text
    assert "┼" * 76 in text
    assert "241 values left" in text


def test_values_outside_the_histogram_widen_the_line() -> None:
    rows = view_text(NumberLine("t", EDGES, COUNTS, marked=(("largest", 0.5),)), 76).splitlines()
    assert rows[-2].endswith("largest 0.5 ▲")
    assert rows[1].rindex("█") < 30


def test_names_that_do_not_fit_beside_their_pointers_get_letters() -> None:
    marked = tuple((f"weight {n}", n / 100) for n in range(4))
    rows = view_text(NumberLine("t", EDGES, COUNTS, marked=marked), 76).splitlines()
    assert any(set(row) == {" ", "▲"} for row in rows)
    assert "A weight 0 0   B weight 1 0.01   C weight 2 0.02   D weight 3 0.03" in rows


def test_what_is_not_nothing_shows() -> None:
    rows = view_text(NumberLine("t", (0.0, 1.0, 2.0, 3.0), (1_000_000.0, 0.0, 1.0)), 40).splitlines()
    assert rows[7].rstrip("▁ ") == "█" * 13
    assert rows[7].endswith("▁")


ODD = (
    NumberLine("t", (), ()),
    NumberLine("t", (0.0, 1.0), (0.0,)),
    NumberLine("t", (1.0, 1.0), (5.0,)),
    NumberLine("t", (0.0, math.nan, 2.0), (math.nan, 1.0), (math.inf, 1.0), (("🙂" * 40, 1.0), ("\x1b[0m", math.nan))),
    NumberLine("t", (0.0, 1e-12, 1e12), (1.0, 2.0), (), (("漢字" * 30, 1e12), ("x", 1e12), ("y", 0.0))),
    NumberLine("t", tuple(map(float, range(1001))), (1.0,) * 1000, tuple(map(float, range(1000)))),
    NumberLine("t", EDGES, COUNTS, marked=tuple((f"v{n}", n / 1000) for n in range(40))),
)


@pytest.mark.parametrize("view", [VIEW, *ODD])
@pytest.mark.parametrize("width", [40, 41, 76, 120])
def test_no_row_is_wider_than_the_picture(view: NumberLine, width: int) -> None:
    for row in number_line_rows(view, width):
        assert cell_len(plain(row)) <= width
        assert "\x1b" not in plain(row)
