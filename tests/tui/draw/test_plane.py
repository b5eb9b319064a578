"""Arrows on a plane, as plain strings."""

from __future__ import annotations

import math

import pytest
from rich.cells import cell_len

from llm_holes.engine.frames import Arrow, Dots, Plane
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.plane import TIPS, plane_rows
from llm_holes.tui.draw.spans import plain

VIEW = Plane("two directions", (Arrow("cat", 3.0, 2.0), Arrow("dog", 4.0, 0.5)), (0, 1), (0, 1))
MAN, KING, WOMAN = (2.0, 1.0), (3.0, 4.0), (5.0, 0.5)
PARALLELOGRAM = Plane(
    "man to king as woman to what",
    (
        Arrow("man", *MAN),
        Arrow("king", *KING),
        Arrow("woman", *WOMAN),
        Arrow("king - man", *KING, *MAN),
        Arrow("the same", 6.0, 3.5, *WOMAN),
    ),
)

PICTURES = {
    40: """\
two directions  ├────┤ 1
        ⡀
        ⡀
        ⡀
        ⡀              ⡠⠔↗⡀A cat
        ⡀           ⡠⠔⠉   ⠄
        ⡀        ⡠⠔⠉      ⠂
        ⡀     ⣠⡔⠊         ⢈
        ⡀  ⣀⠔⠊ ⢱ 27°   ⣀⣀⣀⣠○⠤⠤⠤→ B dog
⡀ ⡀ ⡀ ⡀ ⣀⣔⣊⡤⡤⠤⡤⠖⡓⠒⡒⠋⡉⠉⡉⠁⡀3.22 ⡀ ⡀ ⡀ ⡀ ⡀
        ⡀
        ⡀
        ⡀
A cat: 3.61 long   B dog: 4.03 long
angle of A and B: 27°
○ A reaches 3.22 along B
""",
    76: """\
two directions  ├────────┤ 1
                  ⢀
                  ⢀                          ⣀⠔↗ A cat
                  ⢀                       ⣀⠔⠊   ⠄
                  ⢀                    ⣀⠔⠊      ⠂
                  ⢀                 ⣀⠔⠊         ⢈
                  ⢀              ⣀⠔⠊            ⠠
                  ⢀           ⢀⠤⠊                ⠂
                  ⢀        ⢀⠤⠊⠁                  ⡁
                  ⢀     ⢀⡤⠊⠁ 27°            3.22⢀○⣀⣀⡠⠤⠤⠤⠔→ B dog
                  ⢀  ⢀⠤⠊⠁⠘⡄     ⢀⣀⣀⣀⡠⠤⠤⠤⠔⠒⠒⠒⠊⠉⠉⠉⠁
⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⣀⣤⡪⠥⡤⠤⡔⠒⡓⠒⡊⠉⡉⠉⡁ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀
                  ⢀
A cat: 3.61 long   B dog: 4.03 long   angle of A and B: 27°
○ A reaches 3.22 along B
""",
    120: """\
two directions  ├──────────────────┤ 2
                                        ⢀
                                        ⢀                          ⣀⠔↗ A cat
                                        ⢀                       ⣀⠔⠊   ⠄
                                        ⢀                    ⣀⠔⠊      ⠂
                                        ⢀                 ⣀⠔⠊         ⢈
                                        ⢀              ⣀⠔⠊            ⠠
                                        ⢀           ⢀⠤⠊                ⠂
                                        ⢀        ⢀⠤⠊⠁                  ⡁
                                        ⢀     ⢀⡤⠊⠁ 27°            3.22⢀○⣀⣀⡠⠤⠤⠤⠔→ B dog
                                        ⢀  ⢀⠤⠊⠁⠘⡄     ⢀⣀⣀⣀⡠⠤⠤⠤⠔⠒⠒⠒⠊⠉⠉⠉⠁
⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⣀⣤⡪⠥⡤⠤⡔⠒⡓⠒⡊⠉⡉⠉⡁ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀ ⡀
                                        ⢀
A cat: 3.61 long   B dog: 4.03 long   angle of A and B: 27°   ○ A reaches 3.22 along B
""",
}


@pytest.mark.parametrize("width", PICTURES)
def test_the_picture_at_each_width(width: int) -> None:
    assert view_text(VIEW, width) + "\n" == PICTURES[width]


def test_a_parallelogram_names_its_arrows_at_tips_and_along_the_way() -> None:
    text = view_text(PARALLELOGRAM, 76)
    for name in ("→ C woman", "D king - man", "E the same"):
        assert name.split(" ", 1)[1] in text.partition("long")[0]
    assert "D king - man: 3.16 long" in text
    assert "E the same: 3.16 long" in text


@pytest.mark.parametrize("n", range(8))
def test_a_tip_points_where_its_arrow_goes(n: int) -> None:
    way = n * math.pi / 4
    text = view_text(Plane("t", (Arrow("a", math.cos(way), math.sin(way)),)), 60)
    assert [tip for tip in TIPS if tip in text] == [TIPS[n]]


def test_both_axes_are_on_one_scale() -> None:
    """You should see arrows of one length, up and to the right: twice as many columns as lines."""
    rows = view_text(Plane("t", (Arrow("a", 1.0, 0.0), Arrow("b", 0.0, 1.0))), 76).splitlines()
    up = next(y for y, row in enumerate(rows) if "↑" in row)
    across = next(y for y, row in enumerate(rows) if "→" in row)
    assert rows[across].index("→") - rows[up].index("↑") == pytest.approx(2 * (across - up), abs=1)


def test_angles_and_projections_are_said_in_words() -> None:
    away = Plane("t", (Arrow("left", -3.0, 1.0), Arrow("right", 3.0, 1.0)), (0, 1), (0, 1))
    text = view_text(away, 76)
    assert "angle of A and B: 143°" in text
    assert "A reaches -2.53 along B" in text
    right = Plane("t", (Arrow("a", 1e6, 1e6), Arrow("b", 1e6, -1e6)), (0, 1), (0, 1))
    assert "angle of A and B: 90°" in view_text(right, 76)
    assert "A reaches 0 along B" in view_text(right, 76)


GRID = tuple(
    Dots("sheared", tuple(x + 0.5 * y for x, y in line), tuple(y for _, y in line), joined=True)
    for line in (
        *([(x, y) for y in range(-2, 3)] for x in range(-2, 3)),
        *([(x, y) for x in range(-2, 3)] for y in range(-2, 3)),
    )
)
SAME_SIGNS = Dots("same sign: 2", (3.0, -2.0), (2.0, -1.0))
OTHER_SIGNS = Dots("not: 1", (-3.0,), (2.0,))
CLOUD = Plane("hot × cold", (), dots=(SAME_SIGNS, OTHER_SIGNS))


def test_dots_of_one_name_are_one_kind() -> None:
    text = view_text(Plane("a grid", (), dots=GRID), 60)
    assert text.count("⠒⠒ sheared") == 1


def test_the_lines_of_a_grid_stay_straight_and_apart() -> None:
    """You should see five lines across, each further to the left than the one above."""
    rows = [row for row in view_text(Plane("a grid", (), dots=GRID), 60).splitlines()[1:-1] if "⡀ ⡀" not in row]
    lines = [row for row in rows if sum(row.count(dots) for dots in "⠤⠒⣀⠉") > 8]
    starts = [len(row) - len(row.lstrip()) for row in lines]
    assert starts == sorted(starts, reverse=True)
    assert len(lines) == 4  # the fifth lies on the axis


def test_dots_lie_on_their_side_of_the_axes() -> None:
    rows = view_text(CLOUD, 60).splitlines()
    assert rows[-1] == "⠶ same sign: 2   ⠄ not: 1"
    axis = next(n for n, row in enumerate(rows) if len(row.split()) > 20)
    dotted = [
        (n < axis, x < 30)
        for n, row in enumerate(rows[1:-1], 1)
        if n != axis
        for x, c in enumerate(row)
        if x != 30 and c != " "
    ]
    assert (True, True) in dotted
    assert (True, False) in dotted
    assert (False, True) in dotted
    assert (False, False) not in dotted


def test_dots_share_the_scale_of_the_arrows() -> None:
    """You should see the tip of an arrow on the circle that it draws when it is turned."""
    circle = [n * math.pi / 20 for n in range(41)]
    path = Dots("b turned", tuple(map(math.cos, circle)), tuple(map(math.sin, circle)), joined=True)
    rows = view_text(Plane("t", (Arrow("b", 1.0, 0.0),), dots=(path,)), 60).splitlines()
    row = next(row for row in rows if "→" in row)
    assert len(row[: row.index("→")].strip(" ⡀")) > 10
    widest = max(x for row in rows for x, c in enumerate(row) if c in "⢸⢆⢣⡇")
    assert row.index("→") == pytest.approx(widest, abs=1)


CAPITALS = Plane(
    "capitals",
    (Arrow("Paris", 2.0, 1.0, -2.0, 1.0, tail="France"), Arrow("Athens", 2.0, -1.0, -2.0, -1.0, tail="Greece")),
)


def test_an_arrow_between_two_names_has_one_at_each_end_and_no_letter() -> None:
    """You should see two arrows side by side, each from a country to its capital."""
    rows = view_text(CAPITALS, 60).splitlines()
    ends = [row.split() for row in rows if "→" in row]
    assert [(row[0], row[-1]) for row in ends] == [("France", "Paris"), ("Greece", "Athens")]
    assert not any("long" in row for row in rows)


ODD = (
    CAPITALS,
    Plane("t", (Arrow("to", 1.0, 1.0, tail="🙂" * 60), Arrow("\x1b[31m", 0.0, 0.0, tail="\x1b[31m"))),
    Plane("t", (), dots=(Dots("", (), ()),)),
    Plane("t", (), dots=(Dots("\x1b[31m漢字" * 20, (math.nan, 1.0, 2.0), (1.0, math.inf, 3.0), joined=True),)),
    Plane("t", (Arrow("a", 1.0, 0.0),), dots=tuple(Dots(f"kind {n}", (1.0 * n,), (-1.0,)) for n in range(40))),
    CLOUD,
    Plane("a grid", (), dots=GRID),
    Plane("t", ()),
    Plane("t", (Arrow("nothing", 0.0, 0.0),), (0, 0), (0, 0)),
    Plane("t", (Arrow("a", math.nan, 1.0), Arrow("b", 1.0, 1.0)), (0, 1), (0, 1)),
    Plane("t", (Arrow("a", 1e-9, 0.0), Arrow("b", 1e9, 1e9)), (0, 1), (1, 0)),
    Plane("t", (Arrow("🙂" * 40, 1.0, 1.0), Arrow("\x1b[31m漢字" * 9, 1.0, 1.0), Arrow("", 1.0, 1.0)), (7, 9), (0, 1)),
    Plane("t", tuple(Arrow(f"v{n}", math.cos(n), math.sin(n)) for n in range(1000))),
    PARALLELOGRAM,
)


@pytest.mark.parametrize("view", [VIEW, *ODD])
@pytest.mark.parametrize("width", [40, 41, 76, 120])
def test_no_row_is_wider_than_the_picture(view: Plane, width: int) -> None:
    for row in plane_rows(view, width):
        assert cell_len(plain(row)) <= width
        assert "\x1b" not in plain(row)
