"""A histogram of many numbers over a line with rungs, the values that are left after rounding, as rows of spans."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from rich.cells import cell_len

from llm_holes.engine.frames import NumberLine
from llm_holes.engine.numbers import count, exact, figure, plural
from llm_holes.tui.draw.curve import LARGEST, round_numbers
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import LOWER, Row, Span, fit, named, titled, wrapped

LINES = 7
"""Lines of the histogram."""
RUNG, SHORT_RUNG = "┊", "┼"
POINTER = "▲"
APART = 3
"""Rungs nearer to each other than this many columns are drawn on the line only, not up through the histogram."""


def number_line_rows(view: NumberLine, width: int, lines: int = LINES) -> list[Row]:
    """The histogram, the line with a rung at each value that is left, its numbers, then the named values."""
    values = [value for value in (*view.edges, *view.rungs, *(v for _, v in view.marked)) if abs(value) < LARGEST]
    if not values or not any(n > 0 for n in view.counts if math.isfinite(n)):
        return titled(view.title, visible(view.unit), [[Span("no numbers", "dim")]])
    low, high = min(values), max(values)
    if high <= low:
        low, high = low - 0.5, high + 0.5

    def at(value: float) -> int:
        return math.floor((value - low) / (high - low) * (width - 1) + 0.5)

    rungs = sorted({at(rung) for rung in view.rungs if abs(rung) < LARGEST})
    heights = _heights(view, width, at)
    rows = [*_histogram(heights, rungs, lines), _line(width, rungs), _numbers(low, high, width, at)]
    tallest = max(n for n in view.counts if math.isfinite(n))
    return titled(view.title, view.unit, [*rows, *_marked(view, width, at), *_legend(view, tallest, width)])


def _heights(view: NumberLine, width: int, at: Callable[[float], int]) -> list[float]:
    """How high each column is, 0..1: the densest of the bins that lie in it."""
    heights = [0.0] * width
    tallest = max(n for n in view.counts if math.isfinite(n))
    for left, right, n in zip(view.edges, view.edges[1:], view.counts, strict=False):
        if not (abs(left) < LARGEST and abs(right) < LARGEST and math.isfinite(n)):
            continue
        first, last = sorted((at(left), at(right)))
        for column in range(first, max(last, first + 1)):
            if column < width:
                heights[column] = max(heights[column], n / tallest)
    return heights


def _histogram(heights: Sequence[float], rungs: Sequence[int], lines: int) -> list[Row]:
    """Bars in eighths of a line; a rung goes up through where there is no bar, if it has room beside its neighbours."""
    apart = min((right - left for left, right in pairwise(rungs)), default=APART)
    tall = set(rungs) if apart >= APART else set()
    # what is not nothing shows
    eighths = [max(round(height * lines * 8), 1) if height > 0 else 0 for height in heights]
    rows: list[Row] = []
    for line in range(lines - 1, -1, -1):
        row: Row = []
        for column, filled in enumerate(eighths):
            part = min(max(filled - line * 8, 0), 8)
            if part:
                row.append(Span(LOWER[part - 1], "measured"))
            else:
                row.append(Span(RUNG, "dim") if column in tall else Span(" "))
        rows.append(row)
    return rows


def _line(width: int, rungs: Sequence[int]) -> Row:
    there = set(rungs)
    return [Span(SHORT_RUNG, "strong") if column in there else Span("─", "dim") for column in range(width)]


def _numbers(low: float, high: float, width: int, at: Callable[[float], int]) -> Row:
    """Round numbers under their places."""
    cells, free = [" "] * width, 0
    for value in round_numbers(low, high, max(2, min(8, width // 12))):
        text = exact(value)
        start = min(max(at(value) - len(text) // 2, 0), width - len(text))
        if start >= free:
            cells[start : start + len(text)] = text
            free = start + len(text) + 2
    return [Span("".join(cells), "dim")]


def _marked(view: NumberLine, width: int, at: Callable[[float], int]) -> list[Row]:
    """A pointer under each named value with its name beside it; letters and a list where names would not fit."""
    marked = sorted(((named(name), value) for name, value in view.marked if abs(value) < LARGEST), key=lambda m: m[1])
    if not marked:
        return []
    beside = _placed([(at(value), f"{name} {figure(value)}") for name, value in marked], width)
    if beside:
        return [beside]
    cells: dict[int, str] = {}
    letters: list[str] = []
    for n, (_, value) in enumerate(marked):
        column = at(value)
        letters.append(cells.get(column) or (chr(ord("A") + n) if n < 26 else POINTER))
        cells[column] = letters[-1]
    pointers = "".join(POINTER if column in cells else " " for column in range(width))
    names = "".join(cells.get(column, " ") for column in range(width))
    listed = "   ".join(f"{letter} {name} {figure(v)}" for letter, (name, v) in zip(letters, marked, strict=True))
    return [[Span(pointers, "strong")], [Span(names, "strong")], *([Span(line)] for line in wrapped(listed, width))]


def _placed(marks: Sequence[tuple[int, str]], width: int) -> Row:
    """Pointers in one line with their texts right of them, or left of them where that is taken; empty if both are."""
    row: Row = []
    end = 0
    for n, (column, text) in enumerate(marks):
        length = cell_len(text) + 2
        right = column + length < (marks[n + 1][0] if n + 1 < len(marks) else width + 1)
        start = column if right else column - length + 1
        if start < end + (1 if row and not right else 0):
            return []
        pointer, said = Span(POINTER, "strong"), Span(f" {text}" if right else f"{text} ", "strong")
        row += [Span(" " * (start - end)), *([pointer, said] if right else [said, pointer])]
        end = start + length
    return row


def _legend(view: NumberLine, tallest: float, width: int) -> list[Row]:
    said = [f"{LOWER[-1]} how many lie there, {count(tallest)} at the top"]
    if view.rungs:
        said.append(f"{SHORT_RUNG} {plural(len(set(view.rungs)), 'value')} left after rounding")
    whole = "   ".join(said)
    texts = [whole] if cell_len(whole) <= width else said
    return [[Span(fit(text, min(cell_len(text), width)), "dim")] for text in texts]
