from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import Heatmap, Value
from llm_holes.tui.draw.arrays import matrix
from llm_holes.tui.draw.map import (
    Grid,
    Scale,
    axis_row,
    cell_facts,
    grid_height,
    grid_of,
    grid_row,
    head_row,
    legend_row,
    scale_of,
)  # fmt: skip
from llm_holes.tui.draw.spans import Row, titled
from llm_holes.tui.views.base import glyphs_only
from llm_holes.tui.views.walk import WalkView

HEAD = 2
"""Rows above the map: title and scale."""


class HeatmapView(WalkView[Heatmap]):
    """A matrix; wider ones than the pane slide sideways under the cursor."""

    def __init__(self, view: Heatmap) -> None:
        self._values: list[list[float]] = []
        self._scale = Scale(0, 0)
        self._first = 0
        super().__init__(view)
        if view.cursor is not None:
            self.set_reactive(HeatmapView.cursor, view.cursor)

    def prepare(self, view: Heatmap) -> None:
        self._values = matrix(view.values)
        self._scale = scale_of(view, self._values)
        if view.cursor is not None and self.cursor == self.view.cursor:
            # nobody moved it: it goes where the new map has it
            self.set_reactive(HeatmapView.cursor, view.cursor)

    @property
    def here(self) -> tuple[int, int]:
        """The cell under the cursor; the nearest there is while a map that grows has not come that far."""
        return self._inside(*self.cursor)

    def _inside(self, row: int, column: int) -> tuple[int, int]:
        rows, columns = len(self._values), len(self._values[0]) if self._values else 0
        return min(max(row, 0), max(rows - 1, 0)), min(max(column, 0), max(columns - 1, 0))

    def grid(self, width: int) -> Grid:
        return grid_of(self.view, self._values, width, glyphs_only(self.app))

    def row_count(self, width: int) -> int:
        grid = self.grid(width)
        return HEAD + grid.heads + grid_height(grid, self._values) + 1

    def row(self, y: int, width: int) -> Row:
        if not self._values:
            return titled(self.view.title, "empty", [])[0] if y == 0 else []
        glyphs = glyphs_only(self.app)
        if y == 0:
            return titled(self.view.title, f"{self.view.row_label} × {self.view.column_label}", [])[0]
        if y == 1:
            return legend_row(self.view, self._scale, glyphs)
        grid = self.grid(width)
        cursor = self.here if self.has_focus else None
        first = self._slide(grid)
        columns = len(self._values[0])
        if y < HEAD + grid.heads:
            return head_row(self.view, grid, y - HEAD, first, columns, cursor)
        line = y - HEAD - grid.heads
        if line < grid_height(grid, self._values):
            return grid_row(self.view, self._values, self._scale, grid, line, first, cursor, glyphs)
        return axis_row(self.view, grid, first, columns, cursor)

    def _slide(self, grid: Grid) -> int:
        column = self.here[1]
        self._first = min(max(self._first, column - grid.columns + 1), column, len(self._values[0]) - grid.columns)
        return self._first

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        return self._inside(self.here[0] + down, self.here[1] + across)

    def edge(self, end: int) -> tuple[int, int]:
        return self._inside(self.here[0], 0 if end == 0 else 10**9)

    def describe(self) -> str:
        return cell_facts(self.view, self._values, *self.here) if self._values else "no cells"

    def settings_here(self) -> dict[str, Value]:
        if not self._values:
            return {}
        named = ((self.view.row_control, self.here[0]), (self.view.column_control, self.here[1]))
        return {name: self.view.first + index for name, index in named if name}

    def cursor_region(self) -> Region:
        grid = self.grid(self.size.width)
        y = self.here[0] if grid.tall else self.here[0] // 2
        return Region(0, HEAD + grid.heads + y, 1, 1)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        grid = self.grid(self.size.width)
        line, column = y - HEAD - grid.heads, (x - grid.names - 1) // grid.cell + self._first
        if not (0 <= line < grid_height(grid, self._values) and x > grid.names):
            return None
        return self._inside(line if grid.tall else line * 2, column)
