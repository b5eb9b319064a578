"""Many small maps beside and below each other as rows of spans, with their places, so that a cursor can walk them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.cells import cell_len

from llm_holes.engine.frames import Array, Gallery
from llm_holes.engine.numbers import kind_of_label, plural
from llm_holes.tui.draw.arrays import Cells, matrices
from llm_holes.tui.draw.map import Scale, halves, legend_row, shade
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fit, named, titled

HEAD = 2
"""Rows above the maps: title and scale."""
FEW, LARGE, SMALL = 16, 16, 8
"""Up to this many maps are drawn with 16 cells a side, more of them with 8."""


@dataclass(frozen=True, slots=True)
class Band:
    """One line of maps, or the heading of the maps that follow (then `items` is empty). `top` is its first row."""

    top: int
    items: range
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Hanging:
    """How the maps hang: `slot` columns for each, `lines` rows of cells under each label."""

    bands: tuple[Band, ...]
    slot: int
    lines: int

    @property
    def height(self) -> int:
        return HEAD + (self.bands[-1].top + (self.lines + 1 if self.bands[-1].items else 1) if self.bands else 0)

    def band_of(self, item: int) -> Band:
        return next(band for band in self.bands if item in band.items)


def thumbnails(array: Array) -> list[Cells]:
    """The maps, each shrunk to what is drawn; the largest of the cells that fall together stands for them."""
    maps = matrices(array)
    side = LARGE if len(maps) <= FEW else SMALL
    return [_shrunk(cells, side) for cells in maps]


def _shrunk(cells: Cells, side: int) -> Cells:
    rows, columns = _parts(len(cells), side), _parts(len(cells[0]), side)
    return [[_largest([cells[r][c] for r in row for c in column]) for column in columns] for row in rows]


def _parts(count: int, most: int) -> list[range]:
    """0 … count-1 in at most `most` stretches, as even as can be."""
    parts = min(count, most)
    return [range(n * count // parts, (n + 1) * count // parts) for n in range(parts)]


def _largest(values: list[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def hanging(view: Gallery, maps: list[Cells], width: int) -> Hanging:
    """Lays the maps out in lines of at most `width` cells; a new group starts a new line under its name."""
    if not maps:
        return Hanging((), 1, 0)
    label = max((cell_len(named(label)) for label in view.labels), default=0)
    slot = min(max(len(maps[0][0]), label + 1), width) + 1
    lines, across = (len(maps[0]) + 1) // 2, max((width + 1) // slot, 1)
    bands: list[Band] = []
    top = first = 0
    while first < len(maps):
        group = _group(view, first)
        if group and (first == 0 or _group(view, first - 1) != group):
            same = sum(name == group for name in view.groups)
            bands.append(Band(top, range(0), f"{visible(group)} · {same} of {len(maps)}"))
            top += 1
        last = first + 1
        while last < min(first + across, len(maps)) and _group(view, last) == group:
            last += 1
        bands.append(Band(top, range(first, last)))
        top, first = top + lines + 1, last
    return Hanging(tuple(bands), slot, lines)


def _group(view: Gallery, item: int) -> str:
    return view.groups[item] if item < len(view.groups) else ""


def gallery_row(
    view: Gallery, maps: list[Cells], scale: Scale, hung: Hanging, y: int, cursor: int | None, glyphs: bool
) -> Row:
    """Row `y` of the view: title, scale, then bands of labels with their maps below."""
    if y == 0:
        return titled(view.title, plural(len(maps), "map") if maps else "empty", [])[0]
    if y == 1:
        return legend_row(view, scale, glyphs)
    band = next(band for band in reversed(hung.bands) if band.top <= y - HEAD)
    if not band.items:
        return [Span(band.heading, "strong")]
    line = y - HEAD - band.top - 1
    row: Row = []
    for item in band.items:
        row += _label(view, item, hung.slot, cursor) if line < 0 else _cells(maps[item], line, scale, hung.slot, glyphs)
    return row


def _label(view: Gallery, item: int, slot: int, cursor: int | None) -> Row:
    label = named(view.labels[item]) if item < len(view.labels) else str(item)
    if item == cursor:
        return [Span(fit(f"▸{label}", slot - 1), "cursor"), Span(" ")]
    return [Span(fit(label, slot - 1) + " ", "dim")]


def _cells(cells: Cells, line: int, scale: Scale, slot: int, glyphs: bool) -> Row:
    upper, lower = cells[2 * line], cells[2 * line + 1] if 2 * line + 1 < len(cells) else []
    row: Row = []
    for column, value in enumerate(upper):
        below = lower[column] if lower else math.nan
        if glyphs:
            row.append(Span(shade(scale.heat(_largest([value, below]))), "measured"))
        else:
            row.append(halves(scale.heat(value), scale.heat(below)))
    return [*row, Span(" " * (slot - len(upper)))]


def gallery_scale(view: Gallery, maps: list[Cells]) -> Scale:
    """Fixed, and by square roots, for weights and what is in percent: galleries of two runs can be compared by eye."""
    values = [value for cells in maps for row in cells for value in row if math.isfinite(value)]
    values += view.range or ()
    if view.unit.startswith("%"):
        return Scale(0.0, max([100.0, *values]), root=True)
    if kind_of_label(view.unit) == "percent":
        return Scale(0.0, max([1.0, *values]), root=True)
    return Scale(min([0.0, *values]), max([0.0, *values]))


def gallery_rows(view: Gallery, width: int) -> list[Row]:
    """The whole view in glyphs, without a cursor."""
    maps = thumbnails(view.values)
    hung = hanging(view, maps, width)
    scale = gallery_scale(view, maps)
    return [gallery_row(view, maps, scale, hung, y, None, glyphs=True) for y in range(hung.height)]


def item_facts(view: Gallery, item: int) -> str:
    """Everything about one map, for the line that describes the cursor's place."""
    label = named(view.labels[item]) if item < len(view.labels) else str(item)
    said = [label, _group(view, item), view.notes[item] if item < len(view.notes) else ""]
    return " · ".join(visible(part) for part in said if part)
