from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import CacheGrid, CellState, Value
from llm_holes.tui.draw.cache_grid import LINES, Layout, cache_grid_rows, cell_facts, layout_of, states_of
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.views.places import PlacesView


class CacheGridView(PlacesView[CacheGrid]):
    """A cache as layers (or steps) x tokens; the cursor is (row, token)."""

    def __init__(self, view: CacheGrid) -> None:
        self._cells: list[list[CellState]] = []
        self._lines = LINES
        super().__init__(view)

    def prepare(self, view: CacheGrid) -> None:
        self._cells = states_of(view)
        self.set_reactive(CacheGridView.cursor, self._inside(*self.cursor))

    def _inside(self, row: int, token: int) -> tuple[int, int]:
        tokens = len(self._cells[0]) if self._cells else 0
        return min(max(row, 0), max(len(self._cells) - 1, 0)), min(max(token, 0), max(tokens - 1, 0))

    def _layout(self) -> Layout:
        return layout_of(self.view, self._cells, max(self.size.width, 1), self.cursor, self._lines)

    def layout_rows(self, width: int) -> list[Row]:
        cursor = self.cursor if self.has_focus else None
        return self.fitting(lambda lines: self._drawn(width, lines, cursor), LINES)

    def _drawn(self, width: int, lines: int, cursor: tuple[int, int] | None) -> list[Row]:
        self._lines = lines
        return cache_grid_rows(self.view, width, lines, cursor)

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        return self._inside(self.cursor[0] + down, self.cursor[1] + across)

    def edge(self, end: int) -> tuple[int, int]:
        return self._inside(self.cursor[0], len(self._cells[0]) - 1 if self._cells and end else 0)

    def describe(self) -> str:
        return cell_facts(self.view, self._cells, *self.cursor) if self._cells else "nothing cached yet"

    def settings_here(self) -> dict[str, Value]:
        return {}

    def cursor_region(self) -> Region:
        if not self._cells:
            return Region(0, 0, 1, 1)
        layout = self._layout()
        column = next(n for n, tokens in enumerate(layout.columns) if self.cursor[1] in tokens)
        x = layout.names + 1 + column * layout.cell
        return Region(x, 2 + layout.rows.index(self.cursor[0]), layout.cell, 1)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        if not self._cells:
            return None
        layout = self._layout()
        column, line = (x - layout.names - 1) // layout.cell, y - 2
        inside = 0 <= column < len(layout.columns) and 0 <= line < len(layout.rows)
        return (layout.rows[line], layout.columns[column][0]) if inside else None
