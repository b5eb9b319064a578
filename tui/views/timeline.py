from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import Timeline, Value
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.draw.timeline import MOST_ROWS, stretch_facts, timeline_rows
from llm_holes.tui.views.places import PlacesView


class TimelineView(PlacesView[Timeline]):
    """Rows of work; the cursor is (row, stretch)."""

    def prepare(self, view: Timeline) -> None:
        self.set_reactive(TimelineView.cursor, self._inside(*self.cursor, view))

    def _inside(self, row: int, stretch: int, view: Timeline) -> tuple[int, int]:
        row = min(max(row, 0), max(min(len(view.rows), MOST_ROWS) - 1, 0))
        last = len(view.rows[row].stretches) - 1 if view.rows else 0
        return row, min(max(stretch, 0), max(last, 0))

    def layout_rows(self, width: int) -> list[Row]:
        cursor = self.cursor if self.has_focus else None
        twin = self.twin if isinstance(self.twin, Timeline) else None
        return self.fitting(lambda lines: timeline_rows(self.view, width, cursor, lines, twin), len(self.view.rows))

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        return self._inside(self.cursor[0] + down, self.cursor[1] + across, self.view)

    def edge(self, end: int) -> tuple[int, int]:
        last = len(self.view.rows[self.cursor[0]].stretches) - 1 if self.view.rows else 0
        return self._inside(self.cursor[0], last if end else 0, self.view)

    def describe(self) -> str:
        return stretch_facts(self.view, *self.cursor) if self.view.rows else "no times yet"

    def settings_here(self) -> dict[str, Value]:
        return {}

    def cursor_region(self) -> Region:
        """The whole view: it is low."""
        return Region(0, 0, self.size.width, self.size.height)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        return None
