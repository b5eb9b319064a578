"""A cache as layers (or steps) x tokens, as rows of spans: which of its cells are empty, kept, read, written, …"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from rich.cells import cell_len

from llm_holes.engine.frames import CacheGrid, CellState
from llm_holes.engine.numbers import count, plural
from llm_holes.tui.draw.arrays import matrix
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fit, named, titled, wrapped

Look = tuple[str, str, str]
LOOKS: dict[CellState, Look] = {
    "changed": ("◆", "hue1", "changed"),
    "written": ("█", "measured", "written now"),
    "recomputed": ("▚", "hue4", "computed again"),
    "read": ("▒", "hue3", "read back"),
    "kept": ("░", "muted", "kept"),
    "empty": ("·", "dim", "empty"),
}
"""Glyph, role and name of each state. Where one column stands for several tokens, the first of these that occurs."""
LINES = 14
NAME_WIDTH = 16
CELL_WIDTH = 8
Cursor = tuple[int, int] | None
"""(row, token), or None when the cursor is elsewhere."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`rows` are the rows in sight, `columns` the tokens that each column of `cell` cells stands for."""

    names: int
    cell: int
    rows: tuple[int, ...]
    columns: tuple[range, ...]


def states_of(view: CacheGrid) -> list[list[CellState]]:
    """The state of each cell [row, token]; one that names no state is empty."""
    known = range(len(view.states))
    return [[view.states[int(n)] if n in known else "empty" for n in row] for row in matrix(view.cells)]


def layout_of(
    view: CacheGrid, cells: list[list[CellState]], width: int, cursor: Cursor = None, lines: int = LINES
) -> Layout:
    """Rows are thinned out evenly; the cursor's row is in sight in place of its neighbour."""
    picked = [round(n * (len(cells) - 1) / (lines - 1)) for n in range(lines)] if len(cells) > lines else []
    rows = picked or list(range(len(cells)))
    if cursor is not None and cursor[0] not in rows:
        near = min(range(len(rows)), key=lambda n: abs(rows[n] - cursor[0]))
        rows[near] = cursor[0]
    heads = [row_name(view, n) for n in rows] + [visible(view.row_label)]
    names = min(max(map(cell_len, heads)), NAME_WIDTH, max(width // 3, 3))
    room, tokens = max(width - names - 1, 1), len(cells[0])
    cell = min(max(room // tokens, 1), CELL_WIDTH)
    shown = min(tokens, room)
    columns = tuple(range(n * tokens // shown, (n + 1) * tokens // shown) for n in range(shown))
    return Layout(names, cell, tuple(rows), columns)


def row_name(view: CacheGrid, n: int) -> str:
    return named(view.row_names[n]) if n < len(view.row_names) else str(n)


def cache_grid_rows(view: CacheGrid, width: int, lines: int = LINES, cursor: Cursor = None) -> list[Row]:
    """The tokens' names where they fit, the grid, a legend of the states that occur and how often, the note."""
    cells = states_of(view)
    if not cells:
        return titled(view.title, "", [[Span("nothing cached yet"[:width], "dim")]])
    layout = layout_of(view, cells, width, cursor, lines)
    rows = [_heads(view, layout, cursor), *(_row(view, cells, layout, n, cursor) for n in layout.rows)]
    rows += _legend(view, cells, layout, width)
    if view.note:
        rows += [[Span(line)] for line in wrapped(visible(view.note), width)]
    return titled(view.title, "", rows)


def _heads(view: CacheGrid, layout: Layout, cursor: Cursor) -> Row:
    """Names of tokens, each from its column on; one that would touch the name before it is left out."""
    room = layout.cell * len(layout.columns)
    row, used = [Span(fit(visible(view.row_label), layout.names, right=True) + " ", "dim")], 0
    at = next((n for n, tokens in enumerate(layout.columns) if cursor is not None and cursor[1] in tokens), None)
    for n, tokens in enumerate(layout.columns):
        token = cursor[1] if n == at and cursor is not None else tokens[0]
        if token >= len(view.tokens):
            continue
        text, x = named(view.tokens[token]), n * layout.cell
        size = min(cell_len(text), max(layout.cell - 1, 10))
        reserved = at is not None and n < at and x + size + 1 > at * layout.cell
        if x >= used and x + size <= room and not reserved:
            row += [Span(" " * (x - used)), Span(fit(text, size), "strong" if n == at else "dim")]
            used = x + size
            row.append(Span(" " if used < room else ""))
            used = min(used + 1, room)
    return row


def _row(view: CacheGrid, cells: list[list[CellState]], layout: Layout, n: int, cursor: Cursor) -> Row:
    here = cursor is not None and cursor[0] == n
    row = [Span(fit(row_name(view, n), layout.names, right=True) + " ", "strong" if here else "dim")]
    at = next((c for c, tokens in enumerate(layout.columns) if here and cursor is not None and cursor[1] in tokens), -1)
    looks = enumerate(_look(tuple(cells[n][tokens.start : tokens.stop])) for tokens in layout.columns)
    for (is_cursor, (glyph, role, _)), run in groupby(looks, lambda place: (place[0] == at, place[1])):
        # a gap between wide cells only: narrow ones are to be seen as one shape
        text = glyph * (layout.cell - 1) + " " if layout.cell > 2 else glyph * layout.cell
        if is_cursor:
            row.append(Span("[" + text[1:-1] + "]" if layout.cell > 1 else "+", "cursor"))
        else:
            row.append(Span(text * len(list(run)), role))
    return row


@lru_cache(1024)
def _look(states: tuple[CellState, ...]) -> Look:
    """Of a column that stands for tokens in these states."""
    return next(look for state, look in LOOKS.items() if state in states)


def _legend(view: CacheGrid, cells: list[list[CellState]], layout: Layout, width: int) -> list[Row]:
    rows: list[Row] = [[]]
    used = 0
    for text, role in _said(view, cells, layout):
        shown = fit(text, min(cell_len(text), width))
        if used and used + 3 + cell_len(shown) > width:
            rows.append([])
            used = 0
        rows[-1] += [Span("   " if used else ""), Span(shown, role)]
        used += cell_len(shown) + (3 if used else 0)
    return rows


def _said(view: CacheGrid, cells: list[list[CellState]], layout: Layout) -> list[tuple[str, str]]:
    """The legend's parts with their roles: every state that occurs, what a cell is, what is not in sight."""
    found = [state for row in cells for state in row]
    parts = [(f"{look[0]} {look[2]} {count(found.count(s))}", look[1]) for s, look in LOOKS.items() if s in found]
    label = visible(view.row_label)
    parts.append((f"1 cell is 1 token in 1 {label}", "dim"))
    if len(layout.rows) < len(cells):
        every = plural(len(cells), label, f"{label}es" if label.endswith("s") else "")
        parts.append((f"{len(layout.rows)} of {every} in sight", "dim"))
    if len(layout.columns) < len(cells[0]):
        most = max(map(len, layout.columns))
        parts.append((f"a column is up to {plural(most, 'token')}", "dim"))
    return parts


def cell_facts(view: CacheGrid, cells: list[list[CellState]], row: int, token: int) -> str:
    """Row, token and state of a cell, for the line that describes the cursor's place."""
    name = row_name(view, row)
    label = visible(view.row_label)
    where = name if name.startswith(label) else f"{label} {name}"
    text = f" {named(view.tokens[token])}" if token < len(view.tokens) else ""
    return f"{where} · token {token + 1}{text} · {LOOKS[cells[row][token]][2]}"
