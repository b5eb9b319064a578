"""Arrows and dots on a plane in braille, both axes on one scale, as rows of spans.

A cell holds two by four dots and is twice as high as wide, so a dot is as far from its neighbour across as up.
"""

from __future__ import annotations

import math
from itertools import chain, pairwise
from typing import NamedTuple

from rich.cells import cell_len

from llm_holes.engine.frames import Arrow, Plane
from llm_holes.engine.numbers import count, exact, figure
from llm_holes.tui.draw.colours import HUES
from llm_holes.tui.draw.curve import LARGEST, Canvas, round_numbers
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fit, named, titled

LINES = 12
ROOMY = 9
"""With fewer lines none is kept free for names above and below."""
TIPS = "→↗↑↖←↙↓↘"
FOOT = "○"
SHAPES = (((0, 0), (1, 0), (0, 1), (1, 1)), ((0, 0),), ((0, 0), (1, 0)), ((0, 0), (0, 1)))
"""What a point is made of, so that kinds of points can be told apart without colour."""
MARKS = ("⠶", "⠄", "⠤", "⠆")
"""The same in the legend."""
JOINED = "⠒⠒"
ROUNDING = 1e-12
"""A part of an arrow's length."""
ARC = 0.45
"""How far from the corner the angle is drawn, as a part of the shorter arrow."""
LEAST_ARC, LARGEST_ARC = 5.0, 16.0
"""Its bounds, in dots."""

Point = tuple[float, float]


class Corner(NamedTuple):
    """Two arrows seen from the start of the first: lengths, directions and the way from one to the other (radians)."""

    start: Point
    lengths: Point
    first: float
    turn: float


class Paper:
    """The dots, the texts over them, and the map from the plane to dots."""

    def __init__(self, points: list[Point], width: int, lines: int, margin: int, rim: int) -> None:
        """`margin` columns on each side and `rim` lines above and below are left for names."""
        self.dots, self.texts = Canvas(width, lines), dict[tuple[int, int], Span]()
        left, right = min(x for x, _ in points), max(x for x, _ in points)
        bottom, top = min(y for _, y in points), max(y for _, y in points)
        across, up = max((width - 2 * margin) * 2 - 1, 1), max((lines - 2 * rim) * 4 - 1, 1)
        wide, high = right - left, top - bottom
        self.scale = min(across / wide if wide > 0 else math.inf, up / high if high > 0 else math.inf)
        self.scale = self.scale if math.isfinite(self.scale) else 1.0
        self.left = width - (left + right) / 2 * self.scale
        self.bottom = lines * 2 - (bottom + top) / 2 * self.scale

    def at(self, point: Point) -> Point:
        """Where a point of the plane lies, in dots from the bottom left."""
        return self.left + point[0] * self.scale, self.bottom + point[1] * self.scale

    def cell(self, point: Point) -> tuple[int, int]:
        x, y = self.at(point)
        return self.dots.lines - 1 - int(y // 4), int(x // 2)

    def line(self, start: Point, end: Point, role: str, every: int = 1) -> None:
        (x0, y0), (x1, y1) = self.at(start), self.at(end)
        steps = max(round(max(abs(x1 - x0), abs(y1 - y0))), 1)
        for n in range(0, steps + 1, every):
            self.dots.dot(int(x0 + (x1 - x0) * n / steps), int(y0 + (y1 - y0) * n / steps), role)

    def put(self, places: list[tuple[int, int]], text: str, role: str) -> bool:
        """Writes a text at the first of the places where it covers no line, else where it covers no other text."""
        length = cell_len(text)
        free = [place for place in places if self._is_free(*place, length)]
        if not free:
            return False
        line, column = next((place for place in free if not self._covers(*place, length)), free[0])
        self.texts |= {(line, column + n): Span("") for n in range(length)}
        self.texts[line, column] = Span(text, role)
        return True

    def _is_free(self, line: int, column: int, length: int) -> bool:
        inside = 0 <= line < self.dots.lines and column >= 0 and column + length <= self.dots.columns
        return inside and not any((line, column + n) in self.texts for n in range(length))

    def _covers(self, line: int, column: int, length: int) -> bool:
        """Whether something is drawn there that is more than an axis."""
        return any(role not in ("", "dim") for role in self.dots.roles[line][column : column + length])

    def beside(self, point: Point, text: str, role: str, direction: float) -> bool:
        """Writes a text next to a point: ahead of it if there is room, else where there is."""
        line, column = self.cell(point)
        length = cell_len(text)
        right, left = (line, column + 2), (line, column - 1 - length)
        above, below = (line - 1, column - length // 2), (line + 1, column - length // 2)
        ahead = [right, left] if math.cos(direction) >= 0 else [left, right]
        aside = [above, below] if math.sin(direction) >= 0 else [below, above]
        order = [*ahead, *aside] if abs(math.cos(direction)) > 0.5 else [*aside, *ahead]
        return self.put(order, text, role)

    def rows(self) -> list[Row]:
        found: list[Row] = []
        for line in range(self.dots.lines):
            dots = self.dots.row(line)
            found.append([self.texts.get((line, column), span) for column, span in enumerate(dots)])
        return found


def plane_rows(view: Plane, width: int, lines: int = LINES) -> list[Row]:
    """The dots, the arrows with letter and name at their tips; then in words the arrows' lengths, the angle, the
    projection, and what the dots are."""
    kinds = _kinds(view)
    places = [[point for point in zip(some.x, some.y, strict=False) if _has_a_place(point)] for some in view.dots]
    drawn = [n for n, arrow in enumerate(view.arrows) if _has_a_place(_numbers(arrow))]
    if not drawn and not any(places):
        return titled(view.title, "", [[Span("no arrows" if view.arrows or not view.dots else "no dots", "dim")]])
    corner, foot = _corner(view, drawn), _foot(view, drawn)
    ends = [point for n in drawn for point in (_start(view.arrows[n]), _tip(view.arrows[n]))]
    names = {n: _name(view.arrows[n], n) for n in drawn}
    margin = min(max(map(cell_len, names.values()), default=-2) + 3, max(width // 5, 3))
    rim = 1 if drawn and lines >= ROOMY else 0
    paper = Paper([(0.0, 0.0), *ends, *chain(*places), *([foot] if foot else [])], width, lines, margin, rim)
    _axes(paper)
    for some, points in zip(view.dots, places, strict=True):
        _draw_dots(paper, points, kinds.index(some.name), hue(len(view.arrows) + kinds.index(some.name)), some.joined)
    if foot:
        _draw_way_to_foot(paper, view, foot)
    for n in drawn:
        paper.line(_start(view.arrows[n]), _tip(view.arrows[n]), hue(n))
    for n in drawn:
        _draw_tip(paper, view.arrows[n], n)
    for n in drawn:
        _draw_name(paper, view.arrows[n], n, names[n])
    if foot:
        _name_foot(paper, view, foot)
    if corner:
        _draw_arc(paper, corner)
    rows = [*paper.rows(), *_legend(view, drawn, names, corner, foot, width)]
    return titled(view.title, _unit(paper, view, width), rows)


def letter(n: int) -> str:
    """What tells an arrow apart without colour."""
    return chr(ord("A") + n) if n < 26 else str(n + 1)


def hue(n: int) -> str:
    return HUES[n % len(HUES)]


def _kinds(view: Plane) -> list[str]:
    return list(dict.fromkeys(some.name for some in view.dots))


def _has_a_place(numbers: tuple[float, ...]) -> bool:
    return all(abs(number) < LARGEST for number in numbers)


def _numbers(arrow: Arrow) -> tuple[float, float, float, float]:
    return arrow.x, arrow.y, arrow.from_x, arrow.from_y


def _start(arrow: Arrow) -> Point:
    return arrow.from_x, arrow.from_y


def _tip(arrow: Arrow) -> Point:
    return arrow.x, arrow.y


def _way(arrow: Arrow) -> Point:
    return arrow.x - arrow.from_x, arrow.y - arrow.from_y


def _length(arrow: Arrow) -> float:
    return math.hypot(*_way(arrow))


def _direction(arrow: Arrow) -> float:
    across, up = _way(arrow)
    return math.atan2(up, across)


def _pair(pair: tuple[int, int] | None, view: Plane, drawn: list[int]) -> tuple[Arrow, Arrow] | None:
    """The two arrows, if both are drawn and neither is a point."""
    if pair is None or not set(pair) <= set(drawn):
        return None
    first, second = view.arrows[pair[0]], view.arrows[pair[1]]
    return (first, second) if _length(first) > 0 and _length(second) > 0 else None


def _corner(view: Plane, drawn: list[int]) -> Corner | None:
    pair = _pair(view.angle, view, drawn)
    if pair is None:
        return None
    first, second = pair
    turn = (_direction(second) - _direction(first) + math.pi) % (2 * math.pi) - math.pi
    return Corner(_start(first), (_length(first), _length(second)), _direction(first), turn)


def _foot(view: Plane, drawn: list[int]) -> Point | None:
    """Where the first arrow's tip falls on the line of the second."""
    pair = _pair(view.projection, view, drawn)
    if pair is None:
        return None
    first, second = pair
    along, reach = _direction(second), _along(first, second)
    return first.from_x + reach * math.cos(along), first.from_y + reach * math.sin(along)


def _along(first: Arrow, second: Arrow) -> float:
    """How long the first arrow is in the direction of the second; negative if it points away."""
    reach = _length(first) * math.cos(_direction(first) - _direction(second))
    return reach if abs(reach) > ROUNDING * _length(first) else 0.0


def _axes(paper: Paper) -> None:
    x, y = (int(value) for value in paper.at((0.0, 0.0)))
    for n in range(0, paper.dots.columns * 2, 4):
        paper.dots.dot(n, y, "dim")
    for n in range(0, paper.dots.lines * 4, 4):
        paper.dots.dot(x, n, "dim")


def _draw_dots(paper: Paper, points: list[Point], kind: int, role: str, joined: bool) -> None:
    if joined:
        for start, end in pairwise(points):
            paper.line(start, end, role)
        return
    for x, y in map(paper.at, points):
        for across, up in SHAPES[kind % len(SHAPES)]:
            paper.dots.dot(int(x) + across, int(y) + up, role)


def _draw_way_to_foot(paper: Paper, view: Plane, foot: Point) -> None:
    assert view.projection is not None
    first = view.arrows[view.projection[0]]
    paper.line(_tip(first), foot, "measured", every=3)
    paper.line(_start(first), foot, "measured", every=2)


def _name_foot(paper: Paper, view: Plane, foot: Point) -> None:
    """The foot and how far it is from the corner, on the side where the first arrow is not."""
    assert view.projection is not None
    first, second = (view.arrows[n] for n in view.projection)
    paper.put([paper.cell(foot)], FOOT, "measured")
    away = _direction(second) + (math.pi / 2 if math.sin(_direction(first) - _direction(second)) < 0 else -math.pi / 2)
    paper.beside(foot, figure(_along(first, second)), "measured", away)


def _draw_tip(paper: Paper, arrow: Arrow, n: int) -> None:
    tip = TIPS[round(_direction(arrow) / (math.pi / 4)) % 8] if _length(arrow) > 0 else "•"
    paper.put([paper.cell(_tip(arrow))], tip, hue(n))


def _name(arrow: Arrow, n: int) -> str:
    """The name with a letter, which an arrow between two names does not need."""
    return named(arrow.name) if arrow.tail else f"{letter(n)} {named(arrow.name)}".rstrip()


def _draw_name(paper: Paper, arrow: Arrow, n: int, name: str) -> None:
    """At the tip; along the way where the arrow leads from one tip to another. Only the letter if there is no room."""
    (x0, y0), (x1, y1) = _start(arrow), _tip(arrow)
    if arrow.tail:
        paper.beside((x0, y0), named(arrow.tail), hue(n), _direction(arrow) + math.pi)
        paper.beside((x1, y1), name, hue(n), _direction(arrow))
        return
    place = (x1, y1) if (x0, y0) == (0.0, 0.0) else ((x0 + x1) / 2, (y0 + y1) / 2)
    short = cell_len(name) <= paper.dots.columns // 3
    if not (short and paper.beside(place, name, hue(n), _direction(arrow))):
        paper.beside(place, letter(n), hue(n), _direction(arrow))


def _draw_arc(paper: Paper, corner: Corner) -> None:
    shorter = min(corner.lengths) * paper.scale
    radius = min(max(shorter * ARC, LEAST_ARC), LARGEST_ARC)
    x, y = paper.at(corner.start)
    steps = max(round(abs(corner.turn) * radius), 1)
    for n in range(steps + 1):
        way = corner.first + corner.turn * n / steps
        paper.dots.dot(int(x + radius * math.cos(way)), int(y + radius * math.sin(way)), "measured")
    middle, text = corner.first + corner.turn / 2, _degrees(corner)
    places: list[tuple[int, int]] = []
    for reach in (radius + further for further in (6, 9, 12, 16)):
        line = paper.dots.lines - 1 - int((y + reach * math.sin(middle)) // 4)
        places.append((line, int((x + reach * math.cos(middle)) // 2) - len(text) // 2))
    paper.put(places, text, "measured")


def _degrees(corner: Corner) -> str:
    return f"{count(abs(math.degrees(corner.turn)))}°"


def _unit(paper: Paper, view: Plane, width: int) -> str:
    """A measure for lengths in the picture, which is the same across and up."""
    room = width - cell_len(visible(view.title)) - 12
    numbers = [n for n in round_numbers(0.0, max(room, 4) * 2 / paper.scale / 2, 4) if n > 0]
    size = next((n for n in numbers if n * paper.scale / 2 >= 6), numbers[-1])
    cells = max(round(size * paper.scale / 2), 1)
    return f"├{'─' * (cells - 2)}┤ {exact(size)}" if 2 <= cells <= room else ""


def _legend(
    view: Plane, drawn: list[int], names: dict[int, str], corner: Corner | None, foot: Point | None, width: int
) -> list[Row]:
    """An arrow's length is not said beside a cloud of dots, where its direction counts, nor between two names."""
    cloud = any(not some.joined for some in view.dots)
    measured = [n for n in drawn if not (cloud or view.arrows[n].tail)]
    entries = [Span(f"{names[n]}: {figure(_length(view.arrows[n]))} long", hue(n)) for n in measured]
    if corner and view.angle:
        said = f"angle of {letter(view.angle[0])} and {letter(view.angle[1])}: {_degrees(corner)}"
        entries.append(Span(said, "measured"))
    if foot and view.projection:
        first, second = view.projection
        reach = figure(_along(view.arrows[first], view.arrows[second]))
        entries.append(Span(f"{FOOT} {letter(first)} reaches {reach} along {letter(second)}", "measured"))
    return _flowing([*entries, *_kinds_of_dots(view)], width)


def _kinds_of_dots(view: Plane) -> list[Span]:
    """One entry for each name."""
    joined = {some.name: some.joined for some in view.dots}
    return [
        Span(f"{JOINED if joined[name] else MARKS[n % len(MARKS)]} {visible(name)}", hue(len(view.arrows) + n))
        for n, name in enumerate(_kinds(view))
        if name
    ]


def _flowing(entries: list[Span], width: int) -> list[Row]:
    """The entries one behind the other, in as many rows as they need."""
    rows: list[Row] = []
    used = width
    for entry in entries:
        text = fit(entry.text, min(cell_len(entry.text), width))
        if used + 3 + cell_len(text) > width:
            rows.append([])
            used = -3
        rows[-1] += [Span("   " if used > 0 else ""), Span(text, entry.role)]
        used += 3 + cell_len(text)
    return rows
