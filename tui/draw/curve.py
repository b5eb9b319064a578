"""Curves in braille dots with axes, as rows of spans.

Drawn here rather than by a plotting widget: that needs numpy, whose import would stop the interface for a quarter of a
second in mid-run, and its lines differ in colour only, which says nothing under NO_COLOR. Here each of four series has
a stroke of its own too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from rich.cells import cell_len

from llm_holes.engine.frames import Curve, Series
from llm_holes.engine.numbers import Kind, exact, kind_of_label, large, percent
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fit, kind_within, titled, with_span

ROLES = ("measured", "hue3", "hue0", "hue1")
STROKES = (("── ", (1,)), ("╌╌ ", (1, 1, 1, 0, 0, 0)), ("·· ", (1, 0, 0, 0)), ("─· ", (1, 1, 1, 1, 1, 0, 0, 1, 0, 0)))
"""How a series is drawn in the legend, and which of the dots along its line are set, over and over."""
MARKS = "●○◆◇"
"""How the named points are drawn."""
MARKED = "pick"
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
LARGEST = 1e150
"""Beyond this, and for NaN, a point has no place: differences of such numbers overflow."""
LINES = 12
SPARE = 2
"""Lines that a logarithmic axis may leave unused."""
MARGIN = 9
"""Columns for the labels of the y axis, at least; longer labels get up to a third of the width."""
POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


ToDot = Callable[[float], int]


def _scaled(low: float, high: float, dots: int) -> ToDot:
    return lambda value: round((value - low) / (high - low) * dots)


class Canvas:
    """Dots, two by four to a cell; a cell takes the role of the last series drawn in it."""

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.bits = [[0] * columns for _ in range(lines)]
        self.roles = [[""] * columns for _ in range(lines)]
        self.glyphs: dict[tuple[int, int], str] = {}

    def dot(self, x: int, y: int, role: str) -> None:
        """Sets dot (x, y), y counted from the bottom; dots outside are dropped."""
        column, line = x // 2, self.lines - 1 - y // 4
        if 0 <= column < self.columns and 0 <= line < self.lines:
            self.bits[line][column] |= DOTS[3 - y % 4][x % 2]
            self.roles[line][column] = role

    def put(self, x: int, y: int, glyph: str) -> None:
        """Puts a glyph into the cell of dot (x, y), over what is drawn there."""
        column, line = x // 2, self.lines - 1 - y // 4
        if 0 <= column < self.columns and 0 <= line < self.lines:
            self.glyphs[line, column] = glyph

    def row(self, line: int) -> Row:
        return [
            Span(glyph, MARKED)
            if (glyph := self.glyphs.get((line, column)))
            else Span(chr(0x2800 + bits) if bits else " ", role)
            for column, (bits, role) in enumerate(zip(self.bits[line], self.roles[line], strict=True))
        ]


def curve_rows(view: Curve, width: int, lines: int = LINES) -> list[Row]:
    """The plot with a y axis of `lines` lines, an x axis, and a legend that names each line and how it is drawn."""
    points = [list(_points(series.x, series.y, view.log_y)) for series in view.series]
    marks = [list(_points((mark.x,), (mark.y,), view.log_y)) for mark in view.marks]
    xs = [x for line in [*points, *marks] for x, _ in line]
    ys = [y for line in [*points, *marks] for _, y in line] + [y for s in view.series for y in _spread(s, view.log_y)]
    ys += _placed(view.y_range or (), view.log_y)
    if not xs:
        return titled(view.title, view.y_label, [[Span("no points yet", "dim")]])
    xs += _placed(view.x_range or (), log=False)
    x_low, x_high = _range(min(xs), max(xs))
    if view.log_y:
        ticks, y_low = _log_ticks(min(ys), max(ys), lines)
        y_high = ticks[-1]
    else:
        ticks = _ticks(min(ys), max(ys), 4)
        if view.y_range:  # more of them where that leaves less of the axis unused
            ticks = min((ticks, _ticks(min(ys), max(ys), 6)), key=lambda some: some[-1] - some[0])
        y_low, y_high = _range(min(ticks[0], min(ys)), max(ticks[-1], max(ys)))
    kind = kind_within(view.y_range, view.y_label)
    texts = [_power_text(round(tick), kind) if view.log_y else _tick_text(tick, kind) for tick in ticks]
    margin = min(max(MARGIN, *map(len, texts)), max(width // 3, MARGIN))
    canvas = Canvas(max(width - margin - 1, 4), lines)
    to_x = _scaled(x_low, x_high, canvas.columns * 2 - 1)
    to_y = _scaled(y_low, y_high, lines * 4 - 1)
    for series in view.series:
        _draw_spread(canvas, series, view.log_y, to_x, to_y)
    for index, line in reversed(list(enumerate(points))):
        _draw_line(canvas, [(to_x(x), to_y(y)) for x, y in line], index)
    for index, mark in enumerate(marks):
        for x, y in mark:
            canvas.put(to_x(x), to_y(y), MARKS[index % len(MARKS)])
    labels = {lines - 1 - to_y(tick) // 4: text for tick, text in zip(ticks, texts, strict=True)}
    rows: list[Row] = []
    for y in range(lines):
        axis = "┤" if y in labels else "│"
        rows.append([Span(fit(labels.get(y, ""), margin, right=True), "dim"), Span(axis, "dim"), *canvas.row(y)])
    rows += _x_axis(view, x_low, x_high, canvas.columns, margin)
    span = (min(ys), max(ys)) if view.y_range and not view.log_y else None
    unit = view.y_label + " (log)" if view.log_y else with_span(view.y_label, span, kind)
    return titled(view.title, unit, [*rows, *_legend(view, width, margin)])


def _points(xs: Iterable[float], ys: Iterable[float], log: bool) -> Iterator[tuple[float, float]]:
    for x, y in zip(xs, ys, strict=False):
        if abs(x) < LARGEST and abs(y) < LARGEST and (y > 0 or not log):
            yield x, math.log10(y) if log else y


def _placed(values: Iterable[float], log: bool) -> list[float]:
    return [math.log10(y) if log else y for y in values if abs(y) < LARGEST and (y > 0 or not log)]


def _spread(series: Series, log: bool) -> list[float]:
    return _placed((*series.low, *series.high), log)


def _range(low: float, high: float) -> tuple[float, float]:
    margin = max(0.5, abs(low) * 1e-3)
    return (low, high) if high - low > margin * 1e-9 else (low - margin, high + margin)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers around the range, about `count` steps apart; zero is one of them if it is near."""
    if 0 < low < 0.4 * high:
        low = 0.0
    span = (high - low) or abs(high) or 1.0
    step = _round(span / count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [n * step for n in range(first, max(last, first + 1) + 1)]


def _round(step: float) -> float:
    """The next step of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(size for size in (power, 2 * power, 5 * power, 10 * power) if size >= step * 0.999)


def round_numbers(low: float, high: float, count: int) -> list[float]:
    """Round numbers that lie in the range."""
    step = _round((high - low) / count)
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, lines: int) -> tuple[list[float], float]:
    """Powers of ten around the range, each the same whole number of lines below the next, the highest on the first of
    the `lines` (at least 3); and what is at the bottom of the last line. Steps are as small as leave few lines unused.
    """
    first, last = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    fits = []
    for step in range(1, last - first + 2):
        bottom, top = math.floor(first / step), math.ceil(last / step)
        if gap := (lines - 1) // (top - bottom):
            fits.append((max(lines - 1 - gap * (top - bottom), SPARE), step, bottom, top, gap))
    _, step, bottom, top, gap = min(fits)
    return [float(n * step) for n in range(bottom, top + 1)], step * (top - (4 * lines - 1) / (4 * gap))


def _tick_text(tick: float, kind: Kind | None) -> str:
    if kind == "percent":
        return f"{exact(100 * tick)} %"
    return exact(tick) if abs(tick) < 1e7 else large(tick)


def _power_text(power: int, kind: Kind | None) -> str:
    """A tick of a logarithmic axis: probabilities below 0.01 % are odds; only what no figure or word says, a power."""
    if kind == "percent" and -4 <= power <= 0:
        return percent(10.0**power)
    if kind == "percent" and -18 < power < 0:
        return f"1 in {large(10.0**-power)}"
    if -10 < power < 0:
        return f"{10.0**power:.{-power}f}"
    if 0 <= power < 15:
        return exact(10.0**power) if power < 7 else large(10.0**power)
    return "10" + str(power).translate(POWERS)


def _draw_line(canvas: Canvas, dots: list[tuple[int, int]], index: int) -> None:
    role, (_, stroke) = ROLES[index % len(ROLES)], STROKES[index % len(STROKES)]
    if len(dots) == 1:
        canvas.dot(*dots[0], role)
    drawn = 0
    for (x0, y0), (x1, y1) in pairwise(dots):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for n in range(steps + 1):
            drawn += 1
            if stroke[drawn % len(stroke)]:
                canvas.dot(round(x0 + (x1 - x0) * n / steps), round(y0 + (y1 - y0) * n / steps), role)


def _draw_spread(canvas: Canvas, series: Series, log: bool, to_x: ToDot, to_y: ToDot) -> None:
    for x, low, high in zip(series.x, series.low, series.high, strict=False):
        if abs(low) < LARGEST and abs(high) < LARGEST and abs(x) < LARGEST and (min(low, high) > 0 or not log):
            bottom, top = (to_y(math.log10(y) if log else y) for y in (low, high))
            # a spread of a dot or two cannot be told from the line
            for y in range(bottom, top + 1) if top - bottom > 2 else ():
                canvas.dot(to_x(x), y, "dim")


def _x_axis(view: Curve, low: float, high: float, columns: int, margin: int) -> list[Row]:
    line, labels = ["─"] * columns, [" "] * columns
    free = 0
    for tick in round_numbers(low, high, max(2, min(6, columns // 12))):
        x = round((tick - low) / (high - low) * (columns - 1))
        text = _tick_text(tick, kind_of_label(view.x_label))
        start = max(0, min(columns - len(text), x - len(text) // 2))
        line[x] = "┬"
        if start >= free:
            labels[start : start + len(text)] = text
            free = start + len(text) + 2
    rows = [[Span(" " * margin + "└" + "".join(line), "dim")], [Span(" " * (margin + 1) + "".join(labels), "dim")]]
    if view.x_label:
        rows.append([Span(" " * (margin + 1) + fit(visible(view.x_label), columns, right=True), "dim")])
    return rows


def _legend(view: Curve, width: int, margin: int) -> Iterable[Row]:
    """What each line is, if there are several, and each named point."""
    lines = [
        (Span(STROKES[index % len(STROKES)][0], ROLES[index % len(ROLES)]), series.name)
        for index, series in enumerate(view.series)
        if len(view.series) > 1
    ]
    points = [(Span(MARKS[index % len(MARKS)] + " ", MARKED), mark.name) for index, mark in enumerate(view.marks)]
    if not lines and not points:
        return []
    rows: list[Row] = [[Span(" " * (margin + 1))]]
    used = margin + 1
    for sign, text in lines + points:
        name = visible(text)
        size = cell_len(sign.text) + cell_len(name) + 3
        if used + size > width and used > margin + 1:
            rows.append([Span(" " * (margin + 1))])
            used = margin + 1
        rows[-1] += [sign, Span(name + "   ")]
        used += size
    return rows
