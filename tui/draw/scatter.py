"""Points on a plane as rows of spans."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.cells import cell_len

from llm_holes.engine.frames import Scatter
from llm_holes.tui.draw.colours import HUES
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fit, named, titled

POINTS = "●○◆◇■□▲△"
"""One mark per group, so that groups can be told apart without colour."""
LINES = 16


def scatter_rows(view: Scatter, width: int, lines: int = LINES, cursor: int | None = None) -> list[Row]:
    """Each point's mark where it lies and its label beside it, where there is room; the cursor's is always there."""
    groups = list(dict.fromkeys(view.groups))
    spots = scatter_spots(view, width, lines)
    if not spots:
        return titled(view.title, "", [[Span("no points yet", "dim")]])
    rows: list[dict[int, Span]] = [{} for _ in range(lines)]
    first = [n for n in (cursor, view.marked) if n in spots]
    for n in dict.fromkeys([*first, *sorted(spots, key=lambda n: (spots[n][1], n))]):
        line, x = spots[n]
        group = groups.index(view.groups[n]) if n < len(view.groups) else 0
        label = fit(named(view.labels[n]), min(cell_len(named(view.labels[n])), max(width - x - 2, 0)))
        span = Span(f"{POINTS[group % len(POINTS)]} {label}", "cursor" if n == cursor else _role(n, group, view))
        end = x + cell_len(span.text) + 1
        if all(end <= start or start + cell_len(other.text) + 1 <= x for start, other in rows[line].items()):
            rows[line][x] = span
    legend = [
        Span(f"{POINTS[n % len(POINTS)]} {visible(name)}   ", _hue(n, view)) for n, name in enumerate(groups) if name
    ]
    axes = " × ".join(visible(label) for label in (view.x_label, view.y_label) if label)
    return titled(view.title, axes, [*map(_spread, rows), *([legend] if legend else [])])


def scatter_spots(view: Scatter, width: int, lines: int = LINES) -> dict[int, tuple[int, int]]:
    """Line and column of each point that has a place."""
    points = [n for n in range(len(view.labels)) if math.isfinite(view.x[n]) and math.isfinite(view.y[n])]
    across, up = _scale([view.x[n] for n in points]), _scale([view.y[n] for n in points])
    room = max(width * 3 // 4, 0)
    return {n: (lines - 1 - round(up(view.y[n]) * (lines - 1)), round(across(view.x[n]) * room)) for n in points}


def _role(n: int, group: int, view: Scatter) -> str:
    return "strong" if n == view.marked else _hue(group, view)


def _hue(group: int, view: Scatter) -> str:
    """One hue per group, beside its mark; points without groups are all measured alike."""
    return HUES[group % len(HUES)] if view.groups else "measured"


def _scale(values: list[float]) -> Callable[[float], float]:
    low, high = min(values, default=0.0), max(values, default=0.0)
    return lambda value: (value - low) / (high - low) if high > low else 0.5


def _spread(spans: dict[int, Span]) -> Row:
    row: Row = []
    end = 0
    for x, span in sorted(spans.items()):
        row += [Span(" " * (x - end)), span]
        end = x + cell_len(span.text)
    return row
