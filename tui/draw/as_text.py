"""Frames as plain text, for `llm-holes run` and `doctor`: the app's drawings without colours or a cursor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llm_holes.engine.frames import (
    Bars,
    Blocks,
    CacheGrid,
    Contexts,
    Curve,
    Diff,
    Flow,
    Frame,
    Gallery,
    Heatmap,
    MergeTree,
    NumberLine,
    Plane,
    RankedList,
    RankRace,
    Scatter,
    Table,
    Text,
    Timeline,
    Tokens,
    Transcript,
    Value,
    View,
)
from llm_holes.engine.numbers import measurement
from llm_holes.tui.draw.arrays import matrix
from llm_holes.tui.draw.blocks import blocks_rows
from llm_holes.tui.draw.cache_grid import cache_grid_rows
from llm_holes.tui.draw.contexts import contexts_rows
from llm_holes.tui.draw.cost_line import cost_line
from llm_holes.tui.draw.curve import curve_rows
from llm_holes.tui.draw.diff import diff_rows
from llm_holes.tui.draw.flow import flow_rows
from llm_holes.tui.draw.gallery import gallery_rows
from llm_holes.tui.draw.map import (
    axis_row,
    grid_height,
    grid_of,
    grid_row,
    head_row,
    legend_row,
    scale_of,
    strip_of,
    strip_row,
)
from llm_holes.tui.draw.merge_tree import merge_tree_rows
from llm_holes.tui.draw.number_line import number_line_rows
from llm_holes.tui.draw.plane import plane_rows
from llm_holes.tui.draw.rank_race import rank_race_rows
from llm_holes.tui.draw.ranked_list import ranked_rows
from llm_holes.tui.draw.spans import Row, bar_rows, fit, named, plain, table_rows, text_rows, titled, wrapped
from llm_holes.tui.draw.timeline import timeline_rows
from llm_holes.tui.draw.transcript import transcript_rows


def frame_text(frame: Frame, width: int) -> str:
    """The whole frame: caption, views, measurements, in lines of at most `width` cells without trailing space."""
    parts = ["\n".join(wrapped(frame.caption, width)), *(view_text(view, width) for view in frame.views)]
    if frame.cost is not None:
        parts.append("\n".join(wrapped(cost_line(frame.cost, width), width)))
    if frame.measured:
        parts.append("\n".join(_measured(frame.measured, width)))
    return "\n\n".join(parts) + "\n"


def view_text(view: View, width: int) -> str:
    return "\n".join(plain(row).rstrip() for row in view_rows(view, width))


def view_rows(view: View, width: int) -> Iterable[Row]:
    """The view as it is drawn without a cursor and without relying on colour."""
    match view:
        case Tokens():
            strip = strip_of(view, width)
            rows = range(len(strip.lines) * strip.height)
            return titled(view.title, view.value_label, [strip_row(view, strip, y, None) for y in rows])
        case Heatmap():
            return titled(view.title, view.unit, list(_heatmap(view, width)))
        case Bars():
            return bar_rows(view, width)
        case Curve():
            return curve_rows(view, width)
        case Table():
            return table_rows(view, width)
        case Text():
            return text_rows(view, width)
        case Diff():
            return diff_rows(view, width)
        case Flow():
            return flow_rows(view, width)
        case Transcript():
            return transcript_rows(view, width)
        case Scatter():
            return table_rows(_places(view), width)
        case Gallery():
            return gallery_rows(view, width)
        case Blocks():
            return blocks_rows(view, width)
        case MergeTree():
            return merge_tree_rows(view, width)
        case Contexts():
            return contexts_rows(view, width)
        case Timeline():
            return timeline_rows(view, width)
        case CacheGrid():
            return cache_grid_rows(view, width)
        case RankRace():
            return rank_race_rows(view, width)
        case Plane():
            return plane_rows(view, width)
        case NumberLine():
            return number_line_rows(view, width)
        case RankedList():
            return ranked_rows(view, width)


def _places(view: Scatter) -> Table:
    """The points of a map with their coordinates."""
    groups = view.groups or ("",) * len(view.labels)
    rows = tuple(zip(view.labels, groups, view.x, view.y, strict=True))
    return Table(view.title, ("", "", view.x_label or "x", view.y_label or "y"), rows, view.marked)


def _heatmap(view: Heatmap, width: int) -> Iterable[Row]:
    """A map too wide for the page goes on below, from the column its axis names."""
    cells = matrix(view.values)
    if not cells:
        return
    scale, grid = scale_of(view, cells), grid_of(view, cells, width, glyphs=True)
    columns = len(cells[0])
    for first in range(0, columns, grid.columns):
        for y in range(grid.heads):
            yield head_row(view, grid, y, first, columns, None)
        for y in range(grid_height(grid, cells)):
            yield grid_row(view, cells, scale, grid, y, first, None, glyphs=True)
        yield axis_row(view, grid, first, columns, None)
    yield legend_row(view, scale, glyphs=True)


def _measured(measured: Mapping[str, Value], width: int) -> Iterable[str]:
    names = max(map(len, measured))
    for name, value in measured.items():
        head, *rest = wrapped(named(measurement(name, value)), max(width - names - 2, 20))
        yield f"{fit(name, names)}  {head}"
        yield from (" " * (names + 2) + line for line in rest)
