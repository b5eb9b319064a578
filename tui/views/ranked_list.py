from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import RankedList, Value
from llm_holes.tui.draw.ranked_list import ranked_facts, ranked_line, ranked_rows
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.views.places import PlacesView


class RankedListView(PlacesView[RankedList]):
    """Candidates and cuts; the cursor is (candidate, 0)."""

    def prepare(self, view: RankedList) -> None:
        self.set_reactive(RankedListView.cursor, self._inside(self.cursor[0], view))

    def _inside(self, candidate: int, view: RankedList) -> tuple[int, int]:
        return min(max(candidate, 0), max(len(view.labels) - 1, 0)), 0

    def layout_rows(self, width: int) -> list[Row]:
        return ranked_rows(self.view, width, self.cursor[0] if self.has_focus else None)

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        return self._inside(self.cursor[0] + across + down, self.view)

    def edge(self, end: int) -> tuple[int, int]:
        return self._inside(len(self.view.labels) - 1 if end else 0, self.view)

    def describe(self) -> str:
        return ranked_facts(self.view, self.cursor[0]) if self.view.labels else "no candidates"

    def settings_here(self) -> dict[str, Value]:
        return {}

    def cursor_region(self) -> Region:
        return Region(0, ranked_line(self.view, self.cursor[0]), self.size.width, 1)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        return next(((n, 0) for n in range(len(self.view.labels)) if ranked_line(self.view, n) == y), None)
