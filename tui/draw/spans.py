"""Numbers and texts become rows of spans: pure functions, no widgets, no colours, testable as plain strings.

A span's `role` says what it is (`dim`, `measured`, …); the widget decides how that looks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from llm_holes.engine.frames import Bars, Scalar, Table, Text
from llm_holes.engine.numbers import Kind, count, figure, kind_of_label, percent, scalar
from llm_holes.engine.spelling import spaced
from llm_holes.tui.draw.sanitize import clean, visible

EIGHTHS = " ▏▎▍▌▋▊▉█"
LOWER = "▁▂▃▄▅▆▇█"
SHADES = "·░▒▓█"
BELOW_ZERO = "·-=x#"
POINTER = "▸ "
ALIKE = 1000
"""Numbers of a column this many times apart are not of one kind."""

GAP = 2
THICK = 2
"""Lines of a bar, at most."""
SHARES = (0.0, 1.0)
"""The axis of shares and probabilities."""


class Span(NamedTuple):
    """Text in one style. `heat` (-1..1) colours it by a measured value; `under`, the cell behind it."""

    text: str
    role: str = ""
    heat: float | None = None
    under: float | None = None


Row = list[Span]


def plain(row: Row) -> str:
    return "".join(span.text for span in row)


def written(value: Scalar, kind: Kind | None = None) -> str:
    """A value as a learner reads it, foreign text made safe."""
    return named(scalar(value, kind))


def aligned(values: Sequence[float], kind: Kind | None = None) -> list[str]:
    """Numbers of one column: shares in %, others with the same count of decimals, so that their points are under each
    other: three digits of the largest, two of the smallest, at most four decimals; unless one would read 0 that is not.
    """
    if kind == "percent":
        return [percent(value) for value in values]
    finite = [abs(value) for value in values if math.isfinite(value)]
    if not finite or (max(finite) < 1e15 and all(float(value).is_integer() for value in finite)):
        return [count(value) for value in values]
    largest, smallest = max(finite), min(value for value in finite if value)
    most = max(0, min(4, max(2 - math.floor(math.log10(largest)), 1 - math.floor(math.log10(smallest)))))
    if round(smallest, most) == 0 or largest >= 1e9:
        return [figure(value) for value in values]
    decimals = next((n for n in range(most) if all(round(value, n) == round(value, most) for value in finite)), most)
    return [f"{value:,.{decimals}f}" if math.isfinite(value) else figure(value) for value in values]


def fit(text: str, width: int, right: bool = False) -> str:
    """The text in exactly `width` cells, cut with … if it is longer."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(width - 1, 0)) + "…" if width > 0 else ""
    space = " " * (width - length)
    return space + text if right else text + space


def fitted(row: Row, width: int) -> Row:
    """The row cut to at most `width` cells, span by span."""
    kept: Row = []
    for span in row:
        length = cell_len(span.text)
        if length > width:
            return [*kept, span._replace(text=fit(span.text, max(width, 0)))]
        kept.append(span)
        width -= length
    return kept


def named(text: str) -> str:
    """A label on one line, foreign text made safe; the spaces at its ends, which belong to a token, read ·."""
    return spaced(visible(text))


def wrapped(text: str, width: int) -> list[str]:
    """Clean text in lines of at most `width` cells, broken at spaces where possible."""
    width = max(width, 1)
    lines: list[str] = []
    for paragraph in clean(text).expandtabs(4).split("\n"):
        lines += _wrapped(paragraph, width)
    return lines


def _wrapped(paragraph: str, width: int) -> Iterable[str]:
    line, used = "", 0
    for piece in re.findall(r"\s+|\S+", paragraph):
        length = cell_len(piece)
        if used + length > width:
            if used:
                yield line.rstrip()
            line, used = "", 0
            if piece.isspace():
                continue
        while length > width:
            head = _head(piece, width)
            yield head
            piece = piece[len(head) :]
            length = cell_len(piece)
        line, used = line + piece, used + length
    yield line


def _head(text: str, width: int) -> str:
    """As many characters as fit in `width` cells, at least one."""
    used = 0
    for index, character in enumerate(text):
        used += cell_len(character)
        if used > width:
            return text[: max(index, 1)]
    return text


def titled(title: str, unit: str, rows: list[Row]) -> list[Row]:
    head = [Span(visible(title), "title")]
    if unit:
        head.append(Span("  " + visible(unit), "dim"))
    return [head, *rows]


def text_rows(view: Text, width: int) -> list[Row]:
    rows = [[Span("▎", "measured"), Span(line)] for line in wrapped(view.text, width - 2)]
    return titled(view.title, "", [[bar, Span(" "), text] for bar, text in rows])


def kind_within(span: tuple[float, float] | None, label: str) -> Kind | None:
    """The kind of the numbers on an axis: what spans 0 to 1 are shares, other axes say it in their label."""
    return "percent" if span == SHARES else kind_of_label(label)


def with_span(label: str, span: tuple[float, float] | None, kind: Kind | None) -> str:
    """What an axis shows and, where two runs are to be compared by eye, from where to where it goes."""
    if span is None:
        return label
    low, high = span
    if kind == "percent" or label == "%":
        low, high = (low, high) if label == "%" else (100 * low, 100 * high)
        shown = f"{figure(low)}-{figure(high)} %"
        return shown if label == "%" or not label else f"{label}, {shown}"
    shown = f"{figure(low)} to {figure(high)}"
    return f"{label}, {shown}" if label else shown


def bar_rows(view: Bars, width: int, twin: Bars | None = None, room: int = 0) -> list[Row]:
    """Labels, bars and numbers in three aligned columns; bars below zero grow to the left of a common axis, which spans
    the view's range or, if they are longer, the bars. Beside a `twin` the columns are as wide as in it. Where the
    picture has `room` for more lines, bars stand apart, and are two lines thick where there is more."""
    labels = [named(label) for label in view.labels]
    kind, numbers = _bar_numbers(view)
    twins = [named(label) for label in twin.labels] if twin else []
    number_width = max(map(len, [*numbers, *(_bar_numbers(twin)[1] if twin else ())]), default=0)
    most = min(width * 2 // 5, width - number_width - 2 * GAP - len(POINTER) - 4)
    label_width = min(max(map(cell_len, [*labels, *twins]), default=0), max(most, 4))
    length = max(width - label_width - number_width - 2 * GAP - len(POINTER), 4)
    finite = [value for value in (*view.values, *(view.range or ())) if math.isfinite(value)]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    left = min(max(round(length * -low / (high - low)), 1), length - 1) if low < 0 else 0
    rows: list[Row] = []
    each = min(max(room // max(len(numbers), 1), 1), THICK + 1)
    for index, (label, value, text) in enumerate(zip(labels, view.values, numbers, strict=False)):
        marked = index == view.marked
        bar = Span(_bar(value, low, high, left, length), "measured" if marked or view.marked is None else "muted")
        before = [
            Span(POINTER if marked else "  ", "strong"),
            Span(fit(label, label_width), "strong" if marked else ""),
            Span(" " * GAP),
        ]
        if rows and each > 1:
            rows.append([])
        rows.append([*before, bar, Span(" " * GAP), Span(text.rjust(number_width), "strong" if marked else "")])
        rows += [[Span(" " * (len(POINTER) + label_width + GAP)), bar]] * (each - 2)
    return titled(view.title, with_span(view.unit, (low, high) if view.range else None, kind), rows)


def _bar_numbers(view: Bars) -> tuple[Kind | None, list[str]]:
    """What kind the bars' numbers are of, and how they are written."""
    kind = kind_within(view.range, view.unit) or (None if view.unit else _said(view.title))
    return kind, aligned(view.values, kind)


def _bar(value: float, low: float, high: float, left: int, room: int) -> str:
    if not math.isfinite(value) or high <= low:
        return " " * room
    if value >= 0:
        right = room - left
        eighths = round(right * 8 * value / high) if high > 0 else 0
        bar = "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
        return " " * left + (bar or "▏").ljust(right)[:right]
    # on the scale of the bars above zero, however few cells there are on this side
    halves = min(round(2 * room * -value / (high - low)), 2 * left)
    bar = ("▐" if halves % 2 else "") + "█" * (halves // 2)
    return (bar or "▕").rjust(left) + " " * (room - left)


def table_rows(view: Table, width: int) -> list[Row]:
    """A table with numbers right-aligned; text that does not fit its column wraps, so nothing is lost."""
    count = len(view.columns)
    columns = [[row[n] if n < len(row) else "" for row in view.rows] for n in range(count)]
    numeric = [bool(cells) and all(_is_number(cell) for cell in cells) for cells in columns]
    kinds, rows = [kind_of_label(name) for name in view.columns], [_row_kind(row) for row in view.rows]
    shown = [
        _column(cells, kind, rows) if right else [written(cell, kind) for cell in cells]
        for cells, kind, right in zip(columns, kinds, numeric, strict=True)
    ]
    heads = [visible(name) for name in view.columns]
    natural = [max(map(cell_len, [head, *cells])) for head, cells in zip(heads, shown, strict=True)]
    widths = _shares(natural, width - len(POINTER) - GAP * (count - 1))
    lines = _cells(heads, widths, numeric, "dim", "  ")
    for index in range(len(view.rows)):
        marked = index == view.marked
        cells = [column[index] for column in shown]
        lines += _cells(cells, widths, numeric, "measured" if marked else "", POINTER if marked else "  ")
    return titled(view.title, "", lines)


def _is_number(cell: Scalar) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _row_kind(row: tuple[Scalar, ...]) -> Kind | None:
    """What the first cell says of its row's numbers: `P(right)` is a probability, anything else only a name."""
    return _said(row[0]) if row and isinstance(row[0], str) else None


def _said(text: str) -> Kind | None:
    return "percent" if re.match(r"(mean )?P\(", text) else None


def _column(cells: Sequence[Scalar], kind: Kind | None, rows: Sequence[Kind | None]) -> list[str]:
    """Numbers of one kind get the same decimals; a column of unlike ones (a ratio under a count) does not."""
    sizes = [abs(float(cell)) for cell in cells if cell and math.isfinite(float(cell))]
    alike = not sizes or max(sizes) < ALIKE * min(sizes)
    if alike and all(isinstance(cell, float) for cell in cells) and not any(rows):
        return aligned([float(cell) for cell in cells], kind)
    return [written(cell, kind or row) for cell, row in zip(cells, rows, strict=True)]


def _cells(cells: list[str], widths: list[int], numeric: list[bool], role: str, pointer: str) -> list[Row]:
    parts = [wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    rows: list[Row] = []
    for line in zip_longest(*parts, fillvalue=""):
        texts = [fit(text, width, right) for text, width, right in zip(line, widths, numeric, strict=True)]
        rows.append([Span("  " if rows else pointer, "strong"), Span((" " * GAP).join(texts).rstrip(), role)])
    return rows


def _shares(natural: list[int], room: int) -> list[int]:
    """Widths that sum to at most `room`: narrow columns keep theirs, wide ones share what is left."""
    widths = list(natural)
    left, pending = room, sorted(range(len(natural)), key=natural.__getitem__)
    while pending:
        share = max(left // len(pending), 3)
        index = pending.pop(0)
        widths[index] = min(natural[index], share)
        left -= widths[index]
    return widths
