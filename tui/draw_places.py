"""Points on a plane and the parts a text passes through, as rows of spans."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.cells import cell_len

from llm_holes.engine.frames import Pipeline, Scatter
from llm_holes.tui.clean import visible
from llm_holes.tui.draw import Row, Span, fit, named, number, titled, wrapped

POINTS = "●○◆◇■□▲△"
"""One mark per group, so that groups can be told apart without colour."""
STATES = {"waiting": ("·", "dim"), "running": ("▸", "strong"), "done": ("●", "measured")}
LINES = 16


def scatter_rows(view: Scatter, width: int, lines: int = LINES) -> list[Row]:
    """Each point's mark where it lies and its label beside it, where there is room."""
    groups = list(dict.fromkeys(view.groups))
    points = [n for n in range(len(view.labels)) if math.isfinite(view.x[n]) and math.isfinite(view.y[n])]
    if not points:
        return titled(view.title, "", [[Span("no points yet", "dim")]])
    across, down = _scale([view.x[n] for n in points]), _scale([view.y[n] for n in points])
    rows: list[dict[int, Span]] = [{} for _ in range(lines)]
    taken = [0] * lines
    spots = [(round(down(view.y[n]) * (lines - 1)), round(across(view.x[n]) * (width * 3 // 4)), n) for n in points]
    for up, x, n in sorted(spots):
        y = lines - 1 - up
        if x < taken[y] or x >= width:
            continue
        group = groups.index(view.groups[n]) if n < len(view.groups) else 0
        role = "strong" if n == view.marked else "measured" if group == 0 else "muted"
        label = fit(named(view.labels[n]), min(cell_len(named(view.labels[n])), max(width - x - 2, 0)))
        rows[y][x] = Span(f"{POINTS[group % len(POINTS)]} {label}", role)
        taken[y] = x + cell_len(label) + 3
    legend = [Span(f"{POINTS[n % len(POINTS)]} {visible(name)}   ", "dim") for n, name in enumerate(groups) if name]
    axes = " × ".join(visible(label) for label in (view.x_label, view.y_label) if label)
    return titled(view.title, axes, [*map(_spread, rows), *([legend] if legend else [])])


def _scale(values: list[float]) -> Callable[[float], float]:
    low, high = min(values), max(values)
    return lambda value: (value - low) / (high - low) if high > low else 0.5


def _spread(spans: dict[int, Span]) -> Row:
    row: Row = []
    end = 0
    for x, span in sorted(spans.items()):
        row += [Span(" " * (x - end)), span]
        end = x + cell_len(span.text)
    return row


def pipeline_rows(view: Pipeline, width: int) -> list[Row]:
    """One line for each stage: its state, its name, what it made and how long that took."""
    names = [visible(stage.name) for stage in view.stages]
    times = ["" if stage.ms is None else f"{number(stage.ms)} ms" for stage in view.stages]
    name_width, time_width = max(map(cell_len, names), default=0), max(map(len, times), default=0)
    room = max(width - name_width - time_width - 6, 8)
    rows: list[Row] = []
    for stage, name, time in zip(view.stages, names, times, strict=True):
        mark, role = STATES[stage.state]
        first, *more = wrapped(visible(stage.produced), room)
        look = "dim" if stage.state == "waiting" else "strong"
        rows.append([Span(mark + " ", role), Span(fit(name, name_width), look), Span("  " + fit(first, room))])
        rows[-1].append(Span("  " + time.rjust(time_width), "measured"))
        rows += [[Span(" " * (name_width + 4) + line)] for line in more]
    return titled(view.title, "", rows)
