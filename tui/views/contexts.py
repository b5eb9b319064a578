from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import Contexts, Value
from llm_holes.tui.draw.contexts import contexts_rows, head_rows, part_at, part_facts, part_middle, sizes_of, thickness
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.views.places import PlacesView


class ContextsView(PlacesView[Contexts]):
    """What was sent, turn by turn; the cursor is (context, part)."""

    _lines = 0
    """Rows for all bars together."""

    def prepare(self, view: Contexts) -> None:
        self.set_reactive(ContextsView.cursor, self._inside(*self.cursor, view))

    def _inside(self, context: int, part: int, view: Contexts) -> tuple[int, int]:
        context = min(max(context, 0), max(len(view.contexts) - 1, 0))
        parts = len(view.contexts[context].parts) if view.contexts else 0
        return context, min(max(part, 0), max(parts - 1, 0))

    def layout_rows(self, width: int) -> list[Row]:
        cursor = self.cursor if self.has_focus else None
        return self.fitting(lambda lines: self._drawn(width, lines, cursor), len(self.view.contexts))

    def _drawn(self, width: int, lines: int, cursor: tuple[int, int] | None) -> list[Row]:
        self._lines = lines
        return contexts_rows(self.view, width, cursor, lines)

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        context, part = self.cursor
        there = context + down
        if across or not (0 <= there < len(self.view.contexts) and self.view.contexts[context].parts):
            return self._inside(there, part + across, self.view)
        width = self.size.width
        return there, part_at(self.view, there, part_middle(self.view, self.cursor, sizes_of(self.view, width)), width)

    def edge(self, end: int) -> tuple[int, int]:
        last = len(self.view.contexts[self.cursor[0]].parts) - 1 if self.view.contexts else 0
        return self._inside(self.cursor[0], last if end else 0, self.view)

    def describe(self) -> str:
        return part_facts(self.view, self.cursor) if self.view.contexts else "nothing was sent yet"

    def settings_here(self) -> dict[str, Value]:
        return {}

    def cursor_region(self) -> Region:
        thick = thickness(self.view, self._lines)
        return Region(0, head_rows(self.view, self.size.width) + thick * self.cursor[0], self.size.width, thick)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        line = (y - head_rows(self.view, self.size.width)) // thickness(self.view, self._lines)
        return (line, part_at(self.view, line, x, self.size.width)) if 0 <= line < len(self.view.contexts) else None
