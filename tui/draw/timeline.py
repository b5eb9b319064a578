"""Rows of work to one scale of time, as rows of spans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from rich.cells import cell_len

from llm_holes.engine.frames import Stretch, Timeline, TimelineRow
from llm_holes.engine.numbers import count, duration, percent
from llm_holes.tui.draw.colours import HUES
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fit, titled, wrapped

FILLS = "█░▓▒"
"""What fills a long stretch: neighbours of unlike work differ without colour, too."""
MOST_ROWS = 40
HEIGHTS = ((5, 2), (4, 1), (3, 1), (2, 1), (1, 1))
"""How many lines a bar gets and how many are left free below it, where there is room; else one and none."""
NARROWEST = 8
"""Columns that the bars need; where they have less, totals are said at the cursor only."""
LONGEST = 1e12
"""Milliseconds; longer ones are no measurement."""
Cursor = tuple[int, int] | None
"""(row, stretch), or None when the cursor is elsewhere."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of the names and of the bars, the milliseconds that fill these, and what stands behind them: totals, if
    there is room, and the notes too if they are short."""

    names: int
    room: int
    whole: float
    totals: bool
    notes: bool


def timeline_rows(
    view: Timeline, width: int, cursor: Cursor = None, lines: int = 0, twin: Timeline | None = None
) -> list[Row]:
    """Each row's name, its stretches drawn to the scale below them, its total and its note; then the legend. Bars grow
    as high as `lines` for all of them allow, and have the scale of the `twin` beside them."""
    shown = view.rows[:MOST_ROWS]
    layout = layout_of([*shown, *(twin.rows[:MOST_ROWS] if twin is not None else ())], width)
    if layout.whole <= 0:
        return titled(view.title, "", [[Span("no times yet"[:width], "dim")]])
    groups, names = groups_of(view), layout.names
    scale = layout.room / layout.whole
    height, free = _heights(len(shown), lines)
    rows: list[Row] = []
    for n, row in enumerate(shown):
        here = cursor[1] if cursor is not None and cursor[0] == n else None
        end = "" if not layout.totals else f"  {_end(row) if layout.notes else duration(total(row))}"
        head = Span(fit(visible(row.name), names - 1) + " " if names else "", "strong")
        rows.append([head, *_bar(row, groups, scale, layout.room, here), Span(end, "measured")])
        below: Row = [Span(" " * names), *_bar(row, groups, scale, layout.room, here, plain=True)]
        rows += [below] * (height - 1)
        if row.note and not layout.notes:
            rows += [[Span(" " * names + line, "dim")] for line in wrapped(visible(row.note), max(width - names, 4))]
        rows += [[Span("")]] * (free if n < len(shown) - 1 else 0)
    rows += _axis(layout.whole, layout.room, names)
    if more := len(view.rows) - len(shown):
        rows.append([Span(fit(f"… {count(more)} more rows", width), "dim")])
    return titled(view.title, "", [*rows, *_legend(groups, 1 / scale, width)])


def layout_of(rows: Sequence[TimelineRow], width: int) -> Layout:
    longest = max((cell_len(visible(row.name)) for row in rows), default=0)
    names = min(longest + 1, max(width // 4, 4)) if longest else 0
    whole = max((total(row) for row in rows), default=0.0)
    notes = max((cell_len(_end(row)) for row in rows), default=0) <= width // 3
    behind = max((cell_len(_end(row) if notes else duration(total(row))) for row in rows), default=0)
    room = width - names - behind - 2
    if room < NARROWEST:
        return Layout(names, max(width - names, 1), whole, totals=False, notes=True)
    return Layout(names, room, whole, totals=True, notes=notes)


def _heights(rows: int, lines: int) -> tuple[int, int]:
    """Lines of each bar, and free ones between two."""
    return next(((high, free) for high, free in HEIGHTS if rows * (high + free) - free <= lines), (1, 0))


def spent(stretch: Stretch) -> float:
    """Its milliseconds; 0 for what is no time."""
    return stretch.ms if 0 < stretch.ms < LONGEST else 0.0


def total(row: TimelineRow) -> float:
    return math.fsum(map(spent, row.stretches))


def groups_of(view: Timeline) -> dict[str, str]:
    """The letter of each kind of work: the first of its name that no other has."""
    found: dict[str, str] = {}
    for row in view.rows[:MOST_ROWS]:
        for stretch in row.stretches:
            if stretch.group not in found:
                own = [c for c in visible(stretch.group or stretch.name).lower() if c.isalnum() and cell_len(c) == 1]
                free = [c for c in [*own, *"abcdefghijklmnopqrstuvwxyz"] if c not in found.values()]
                found[stretch.group] = free[0] if free else "?"
    return found


def places_of(row: TimelineRow, scale: float, room: int) -> list[int]:
    """For each column the stretch drawn there, -1 for none. One that is too short for a column of its own takes it from
    a neighbour that has more than one."""
    edges = [round(ms * scale) for ms in accumulate(map(spent, row.stretches), initial=0.0)]
    cells = [-1] * room
    for n, (start, end) in enumerate(pairwise(edges)):
        cells[start:end] = [n] * (min(end, room) - min(start, room))
    widths = [end - start for start, end in pairwise(edges)]
    for n, stretch in enumerate(row.stretches):
        if widths[n] == 0 and spent(stretch):
            here = min(edges[n], room - 1)
            at = next((x for x in (here, max(here - 1, 0)) if cells[x] < 0 or widths[cells[x]] > 1), None)
            if at is not None:
                if cells[at] >= 0:
                    widths[cells[at]] -= 1
                cells[at], widths[n] = n, 1
    return cells


def _bar(
    row: TimelineRow, groups: dict[str, str], scale: float, room: int, here: int | None, plain: bool = False
) -> Row:
    """A line of the bar; a `plain` one has no names, for it stands below one that has."""
    cells = places_of(row, scale, room)
    spans: Row = []
    start = 0
    for x in range(1, room + 1):
        if x == room or cells[x] != cells[start]:
            spans.append(_stretch(row, cells[start], groups, x - start, here, plain))
            start = x
    return spans


def _stretch(row: TimelineRow, n: int, groups: dict[str, str], width: int, here: int | None, plain: bool) -> Span:
    """`[prefill 39 tokens ████]`, `[d██]`, `[d`, `d`: as much as its columns hold."""
    if n < 0:
        return Span(" " * width)
    stretch = row.stretches[n]
    kind = list(groups).index(stretch.group)
    letter, fill, name = groups[stretch.group], FILLS[kind % len(FILLS)], visible(stretch.name)
    role = "cursor" if n == here else HUES[kind % len(HUES)]
    fill = " " if n == here else fill  # a full block would hide the cursor's colour
    opened = "▸" if n == here and not plain else "["
    if plain:
        return Span((opened + fill * (width - 2) + "]" if width > 2 else opened + fill)[:width], role)
    if width == 1:
        return Span(opened if n == here else letter, role)
    if width == 2:
        return Span(opened + letter, role)
    inner = f"{name} " if cell_len(name) + 3 <= width and width >= 6 else letter
    return Span(opened + inner + fill * (width - 2 - cell_len(inner)) + "]", role)


def _end(row: TimelineRow) -> str:
    return duration(total(row)) + (f" · {visible(row.note)}" if row.note else "")


def _axis(whole: float, room: int, names: int) -> list[Row]:
    """A line with ticks at round times, which have their names under them."""
    line, labels, free = ["─"] * room, [" "] * room, 0
    step = _round(whole / max(2, min(8, room // 10)))
    for n in range(math.floor(whole / step + 1e-9) + 1):
        x = min(round(n * step / whole * room), room - 1)
        text = duration(n * step).replace(".0 ", " ") if n else "0"
        start = max(min(x - len(text) // 2, room - len(text)), 0)
        line[x] = "┴"
        if start >= free and start + len(text) <= room:
            labels[start : start + len(text)] = text
            free = start + len(text) + 2
    return [[Span(" " * names + "".join(line), "dim")], [Span(" " * names + "".join(labels), "dim")]]


def _round(step: float) -> float:
    """The next step of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next((size for size in (power, 2 * power, 5 * power) if size >= step * 0.999), 10 * power)


def _legend(groups: dict[str, str], ms: float, width: int) -> list[Row]:
    rows: list[Row] = [[]]
    used = 0
    kinds = [(HUES[n % len(HUES)], letter, visible(name)) for n, (name, letter) in enumerate(groups.items())]
    parts = [(f"{letter} {name}", hue) for hue, letter, name in kinds if name]
    for text, role in [*parts, (f"one column is {duration(ms)}", "dim")]:
        shown = fit(text, min(cell_len(text), width))
        if used and used + cell_len(shown) > width:
            rows.append([])
            used = 0
        gap = min(3, width - used - cell_len(shown))
        rows[-1] += [Span(shown, role), Span(" " * gap)]
        used += cell_len(shown) + gap
    return rows


def stretch_facts(view: Timeline, row: int, n: int) -> str:
    """Everything about one stretch, for the line that describes the cursor's place."""
    line = view.rows[row]
    if not line.stretches:
        return f"{visible(line.name)}: nothing"
    stretch, whole = line.stretches[n], total(line)
    before = math.fsum(map(spent, line.stretches[:n]))
    share = f" · {percent(spent(stretch) / whole)} of {duration(whole)}" if whole else ""
    name = visible(f"{line.name}: {stretch.name or stretch.group}")
    return f"{name} · {duration(stretch.ms)} from {duration(before)} on{share}"
