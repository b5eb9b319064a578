"""Points on a plane, with a cursor that goes from one to the next."""

from __future__ import annotations

from typing import Generic

from textual.geometry import Region

from llm_holes.engine.frames import Scatter, Value
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.scatter import LINES, scatter_rows, scatter_spots
from llm_holes.tui.draw.spans import Row, named, written
from llm_holes.tui.views.base import V
from llm_holes.tui.views.walk import WalkView

LINE_IS = 2
"""A step of one line is as far as two columns."""


class PlacesView(WalkView[V], Generic[V]):
    """Rows that show the cursor while the view has the focus."""

    def on_mount(self) -> None:
        self.watch(self, "has_focus", self.redraw, init=False)

    def redraw(self) -> None:
        self.cached_rows.forget()
        self.refresh()

    def watch_cursor(self) -> None:
        self.redraw()
        super().watch_cursor()


class ScatterView(PlacesView[Scatter]):
    """The cursor is (0, point); a step goes to the nearest point that way, Enter sets the control to its label."""

    _lines = LINES

    def prepare(self, view: Scatter) -> None:
        if self.cursor[1] >= len(view.labels):
            self.set_reactive(ScatterView.cursor, (0, 0))

    def layout_rows(self, width: int) -> list[Row]:
        cursor = self.cursor[1] if self.has_focus else None
        return self.fitting(lambda lines: self._drawn(width, lines, cursor), LINES)

    def _drawn(self, width: int, lines: int, cursor: int | None) -> list[Row]:
        self._lines = lines
        return scatter_rows(self.view, width, lines, cursor)

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        spots = scatter_spots(self.view, self.size.width, self._lines)
        here = spots.get(self.cursor[1])
        if here is None:
            return (0, min(spots)) if spots else self.cursor

        def far(n: int) -> float:
            line, x = spots[n][0] - here[0], spots[n][1] - here[1]
            ahead, aside = (x, line * LINE_IS) if across else (line * LINE_IS, x)
            return abs(ahead) + 2 * abs(aside) if ahead * (across + down) > 0 else float("inf")

        best = min(spots, key=far)
        return (0, best) if far(best) < float("inf") else self.cursor

    def edge(self, end: int) -> tuple[int, int]:
        spots = scatter_spots(self.view, self.size.width, self._lines)
        ordered = sorted(spots, key=lambda n: spots[n][1])
        return (0, ordered[end]) if ordered else self.cursor

    def describe(self) -> str:
        if not self.view.labels:
            return "no points"
        n = self.cursor[1]
        group = f" · {visible(self.view.groups[n])}" if n < len(self.view.groups) and self.view.groups[n] else ""
        return f"{named(self.view.labels[n])}: {written(self.view.x[n])}, {written(self.view.y[n])}{group}"

    def settings_here(self) -> dict[str, Value]:
        if not self.view.control or not self.view.labels:
            return {}
        return {self.view.control: self.view.labels[self.cursor[1]]}

    def cursor_region(self) -> Region:
        line, x = scatter_spots(self.view, self.size.width, self._lines).get(self.cursor[1], (0, 0))
        return Region(x, line + 1, 1, 1)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        spots = scatter_spots(self.view, self.size.width, self._lines)
        near = min(spots, key=lambda n: abs(spots[n][0] + 1 - y) * 8 + abs(spots[n][1] - x), default=None)
        return None if near is None else (0, near)
