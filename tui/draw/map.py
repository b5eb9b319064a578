"""Token strips and heatmaps as rows of spans, with the places of their cells so that a cursor can walk them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import combining

from rich.cells import cell_len, set_cell_size

from llm_holes.engine.frames import Gallery, Heatmap, Token, Tokens
from llm_holes.engine.numbers import kind_of_label
from llm_holes.tui.draw.arrays import Cells
from llm_holes.tui.draw.sanitize import from_bytes, visible
from llm_holes.tui.draw.spans import BELOW_ZERO, LOWER, SHADES, Row, Span, fit, named, written

IDS_UP_TO = 64
"""Longer strips show a token's id at the cursor only."""
NAME_WIDTH = 14
LOW, TALL = 12, 40
"""Maps of up to this many rows: cells of full height, of any width; and only if they are wide enough."""
MOST_HEADS = 2
FAINT = 0.03
"""Less than this part of the scale has the lightest shade."""
TEXT_WIDTHS = (7, 12)
"""Cells with a word in them: the narrowest, and the widest unless their column has a longer name."""
NAMED_WIDTH = 28
NOTHING = Span(" ")
Cursor = tuple[int, int] | None
"""(row, column), or None when the cursor is elsewhere."""


class Place(NamedTuple):
    """Where a token's chip is: line of chips, first column, width."""

    line: int
    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Strip:
    """Chips laid out in lines. `lines[n]` are the indices of the tokens in line n; `height` rows make one line."""

    chips: tuple[str, ...]
    places: tuple[Place, ...]
    lines: tuple[range, ...]
    height: int


def chip(token: Token) -> str:
    """What a token looks like; a combining mark gets a circle to stand on."""
    text = from_bytes(token.data) or "∅"
    return "◌" + text if combining(text[0]) else text


def strip_of(view: Tokens, width: int) -> Strip:
    """Lays the chips out in lines of at most `width` cells."""
    ids = len(view.tokens) <= IDS_UP_TO and not view.values
    chips, places, lines = [], [], []
    line, x, first = 0, 0, 0
    for index, token in enumerate(view.tokens):
        text = chip(token)
        size = min(max(cell_len(text), len(str(token.id)) if ids else 0), max(width, 1))
        if x and x + size > width:
            lines.append(range(first, index))
            line, x, first = line + 1, 0, index
        chips.append(fit(text, size))
        places.append(Place(line, x, size))
        x += size + 1
    lines.append(range(first, len(chips)))
    return Strip(tuple(chips), tuple(places), tuple(lines), 2 if ids or view.values else 1)


def strip_row(view: Tokens, strip: Strip, y: int, cursor: int | None) -> Row:
    """Row `y` of the strip: chips, or under them their ids or a bar of their value."""
    line, part = divmod(y, strip.height)
    row: Row = []
    for index in strip.lines[line]:
        place, token = strip.places[index], view.tokens[index]
        value = view.values[index] if index < len(view.values) else None
        if part == 0:
            role = "cursor" if index == cursor else f"chip{index % 2}"
            row.append(Span(strip.chips[index], role, None if index == cursor else value))
        elif value is not None:
            row.append(Span(level(value) * place.width, "measured"))
        else:
            row.append(Span(fit(str(token.id), place.width), "strong" if index == cursor else "dim"))
        row.append(Span(" "))
    return row[:-1]


def level(value: float) -> str:
    """One block whose height is the value, 0..1; blank if there is none."""
    return LOWER[max(0, min(7, int(value * 8)))] if math.isfinite(value) else " "


def token_facts(view: Tokens, index: int) -> str:
    """Everything about one token, for the line that describes the cursor's place."""
    token = view.tokens[index]
    facts = [f"{index}", chip(token), f"id {token.id}", "bytes " + token.data[:16].hex(" ")]
    if index < len(view.values):
        value = written(float(view.values[index]), kind_of_label(view.value_label))
        facts.append(f"{visible(view.value_label) or 'value'} {value}")
    return "  ".join([*facts, visible(token.note)]).rstrip()


class Scale(NamedTuple):
    """The values that a map's shades stand for. On a `root` scale the shade grows with the square root of the value, so
    that small shares can be told apart."""

    low: float
    high: float
    root: bool = False

    def heat(self, value: float) -> float | None:
        """0..1 over the range, or -1..1 around zero where values have both signs; 0 for what is next to nothing beside
        the range; None for NaN."""
        low, high, root = self
        if math.isnan(value):
            return None
        value = low if value < low else high if value > high else value
        zero, length = (0.0, max(-low, high)) if low < 0 < high else (low, high - low)
        part = (value - zero) / length if length > 0 else 0.5
        if -FAINT < part < FAINT:
            return 0.0
        return math.copysign(math.sqrt(abs(part)), part) if root else part

    def heats(self, values: Sequence[float]) -> list[float | None]:
        return [self.heat(value) for value in values]


def scale_of(view: Heatmap, rows: Cells) -> Scale:
    """Fixed for weights and shares, 0 to 1, and for cosines, -1 to 1, so that two runs can be compared by eye. All
    other values, differences of weights too, go from the smallest to the largest."""
    finite = [value for row in (*rows, view.range or ()) for value in row if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    shares = kind_of_label(view.unit) == "percent"
    if shares and low >= 0:
        return Scale(0.0, max(high, 1.0), root=True)
    if view.unit == "cosine":
        return Scale(min(low, -1.0), max(high, 1.0))
    return Scale(low, high, root=shares)


@dataclass(frozen=True, slots=True)
class Grid:
    """How a heatmap fits a width: cells of `cell` columns; `tall` cells take a line, others half of one."""

    names: int
    cell: int
    tall: bool
    columns: int
    """How many columns of cells are in sight."""
    heads: int = 0
    """Rows of column names above the cells."""

    @property
    def head_room(self) -> int:
        """Columns that a column's name may take: names of neighbours are in different rows."""
        return self.cell * self.heads - 1


def grid_of(view: Heatmap, rows: Cells, width: int, glyphs: bool) -> Grid:
    names = min(max((cell_len(named(name)) for name in view.row_names), default=len(str(len(rows)))), NAME_WIDTH)
    room = max(width - names - 1, 1)
    count = max(len(rows[0]) if rows else 1, 1)
    if view.texts:
        widest = min(max(TEXT_WIDTHS[1], _longest(view) + 1), NAMED_WIDTH)
        cell = min(max(room // count, TEXT_WIDTHS[0]), widest, room)
        return Grid(names, cell, True, min(count, room // cell), _heads(view, cell))
    tall = glyphs or len(rows) <= LOW or (len(rows) <= TALL and 2 * count <= room)
    cell = min(max(room // count, 1), 6 if len(rows) <= LOW else 3) if tall else 1
    return Grid(names, cell, tall, min(count, room // cell), _heads(view, cell))


def _heads(view: Heatmap, cell: int) -> int:
    """How many rows the names of the columns need; 0 if there are none, or no room for them."""
    longest = _longest(view)
    return min(-(-(longest + 1) // cell), 1 if cell >= TEXT_WIDTHS[0] else MOST_HEADS) if longest and cell > 1 else 0


def _longest(view: Heatmap) -> int:
    """Columns that the longest name of a column takes."""
    return max((cell_len(named(name)) for name in view.column_names), default=0)


def head_row(view: Heatmap, grid: Grid, y: int, first: int, columns: int, cursor: Cursor) -> Row:
    """Row `y` of the names above the map, from column `first` on; each begins over its column's left edge."""
    row, used = [Span(" " * (grid.names + 1))], 0
    for column in range(first, min(first + grid.columns, columns)):
        x = (column - first) * grid.cell
        if column % grid.heads == y:
            room = min(grid.head_room, grid.columns * grid.cell - x)
            name = column_name(view, column)
            name = fit(name, room) if room > 3 else set_cell_size(name, room)
            row += [Span(" " * (x - used)), Span(name, "strong" if cursor and cursor[1] == column else "dim")]
            used = x + cell_len(name)
    return row


def grid_height(grid: Grid, rows: Cells) -> int:
    return len(rows) if grid.tall else (len(rows) + 1) // 2


def grid_row(
    view: Heatmap, rows: Cells, scale: Scale, grid: Grid, y: int, first: int, cursor: Cursor, glyphs: bool
) -> Row:
    """Line `y` of the map, from column `first` on, with the name of its row in front."""
    top = y if grid.tall else 2 * y
    at = cursor is not None and (cursor[0] == top or (not grid.tall and cursor[0] == top + 1))
    shown = cursor[0] if at and cursor else top
    name = Span(fit(row_name(view, shown), grid.names, right=True) + " ", "strong" if at else "dim")
    end = min(first + grid.columns, len(rows[0]))
    heats = scale.heats(rows[top][first:end])
    marked = cursor[1] - first if at and cursor else None
    if view.texts:
        texts = view.texts[top * len(rows[0]) + first : top * len(rows[0]) + end]
        cells = enumerate(zip(texts, heats, strict=True))
        return [name, *(_worded(text, heat, grid.cell, glyphs, n == marked) for n, (text, heat) in cells)]
    if grid.tall and glyphs and marked is None:
        return [name, Span("".join(shade(heat) * grid.cell for heat in heats), "measured")]
    if grid.tall:
        return [name, *(_tall(heat, grid.cell, glyphs, n == marked) for n, heat in enumerate(heats))]
    below = scale.heats(rows[top + 1][first:end]) if top + 1 < len(rows) else [None] * len(heats)
    row = [name, *map(halves, heats, below)]
    if marked is not None and cursor:
        row[1 + marked] = half_at_cursor(heats[marked], below[marked], lower=cursor[0] > top)
    return row


def _tall(heat: float | None, width: int, glyphs: bool, cursor: bool) -> Span:
    text = shade(heat) * width if glyphs else " " * width
    if cursor:
        text = "[" + text[1:-1] + "]" if width > 1 else "+"
        return Span(text, "cursor")
    return Span(text, "measured" if glyphs else "", None, None if glyphs else heat)


def _worded(text: str, heat: float | None, width: int, glyphs: bool, cursor: bool) -> Span:
    """A cell with a word in it, behind it the colour of its value, or in front of it the shade."""
    word = fit(named(text), max(width - 2, 0))
    if cursor:
        return Span(f"[{word}]", "cursor")
    return Span(f"{shade(heat)} {word}") if glyphs else Span(f" {word} ", "chip0", heat)


def halves(top: float | None, bottom: float | None) -> Span:
    """Two cells in one character: the upper one is its ink, the lower one what is behind it."""
    if top is None and bottom is None:
        return NOTHING
    return Span("▀", "", top, bottom) if top is not None else Span("▄", "", bottom, None)


def half_at_cursor(top: float | None, bottom: float | None, lower: bool) -> Span:
    """The same where the cursor is on one of them."""
    return Span("▄", "pick", None, top) if lower else Span("▀", "pick", None, bottom)


def shade(heat: float | None) -> str:
    if heat is None:
        return " "
    scale = SHADES if heat >= 0 else BELOW_ZERO
    return scale[min(4, math.ceil(abs(heat) * 4))]


def axis_row(view: Heatmap, grid: Grid, first: int, columns: int, cursor: Cursor) -> Row:
    """Under the map: what its columns are, and the cursor's column by name."""
    row = [Span(" " * (grid.names + 1))]
    more = "…" if first or first + grid.columns < columns else ""
    start = view.first
    label = f"{visible(view.column_label)} {start}–{start + columns - 1}"
    label += f" ‹ {start + first}{more}" if more else ""
    if cursor is None:
        return [*row, Span(label, "dim")]
    x = (cursor[1] - first) * grid.cell + (grid.cell - 1) // 2
    name = "▴ " + column_name(view, cursor[1])
    room = grid.columns * grid.cell
    if x + cell_len(name) > max(room, 24) and x >= cell_len(name) - 1:
        name = column_name(view, cursor[1]) + " ▴"
        x -= cell_len(name) - 1
    return [*row, Span(" " * x), Span(name, "strong")]


def legend_row(view: Heatmap | Gallery, scale: Scale, glyphs: bool) -> Row:
    """The scale: from the smallest value to the largest; an end that is nothing beside the other reads 0."""
    signed = scale.low < 0 < scale.high
    steps = [n / 4 for n in (range(-4, 5) if signed else range(5))]
    shades = " ".join(map(shade, steps))
    bar = [Span(shades, "measured")] if glyphs else [Span("  ", "", None, step) for step in steps]
    ends = (-max(-scale.low, scale.high), max(-scale.low, scale.high)) if signed else scale[:2]
    unit = f"  {visible(view.unit)}" if view.unit else ""
    nothing = max(map(abs, ends)) / 1000
    low, high = (written(float(end) if abs(end) > nothing else 0.0) for end in ends)
    return [Span(f"{low} ", "dim"), *bar, Span(f" {high}{unit}", "dim")]


def row_name(view: Heatmap, index: int) -> str:
    return named(view.row_names[index]) if index < len(view.row_names) else str(view.first + index)


def column_name(view: Heatmap, index: int) -> str:
    return named(view.column_names[index]) if index < len(view.column_names) else str(view.first + index)


def cell_facts(view: Heatmap, rows: Cells, row: int, column: int) -> str:
    """Everything about one cell, for the line that describes the cursor's place."""
    if view.details:
        place = f"{view.row_label} {row_name(view, row)} × {view.column_label} {column_name(view, column)}"
        return visible(f"{place}: {view.details[row * len(rows[0]) + column]}")
    value = rows[row][column]
    number = written(float(value), kind_of_label(view.unit))
    shown = "nothing here" if math.isnan(value) else f"{number} {visible(view.unit)}".rstrip()
    sides = []
    for label, names, index in ((view.row_label, view.row_names, row), (view.column_label, view.column_names, column)):
        name = f": {named(names[index])}" if index < len(names) else ""
        sides.append(f"{visible(label)} {view.first + index}{name}")
    return f"{sides[0]} × {sides[1]} = {shown}"
