from __future__ import annotations

from textual.events import Click
from textual.geometry import Region

from llm_holes.engine.frames import Transcript, Value
from llm_holes.tui.draw.map import Place
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span
from llm_holes.tui.draw.transcript import Layout, layout_of, place_facts, start_of, transcript_row
from llm_holes.tui.messages import Described
from llm_holes.tui.views.base import glyphs_only
from llm_holes.tui.views.per_width import PerWidth
from llm_holes.tui.views.walk import WalkView

LEAD, ROOMY = 2, 9
"""Rows of what came before that are shown where a reader begins, if the stage has so many."""


class TranscriptView(WalkView[Transcript]):
    """What was said and done; the cursor is (0, token), counted over all turns. Until somebody moves it, it waits where
    the model begins to write."""

    def __init__(self, view: Transcript) -> None:
        self._moved = False
        self.layout_at: PerWidth[Layout] = PerWidth(self._laid_out)
        super().__init__(view)

    def _laid_out(self, width: int) -> Layout:
        return layout_of(self.view, width, glyphs_only(self.app), self.cursor[1])

    def prepare(self, view: Transcript) -> None:
        self.layout_at.forget()
        count = sum(len(turn.tokens) for turn in view.turns)
        index = min(self.cursor[1], max(count - 1, 0)) if self._moved else start_of(view)
        if index != self.cursor[1]:
            self.set_reactive(TranscriptView.cursor, (0, index))
            if self.is_attached:
                self.post_message(Described(self))
        if self.is_attached and not self._moved:
            self.call_after_refresh(self.follow)

    def watch_cursor(self) -> None:
        self.layout_at.forget()
        self.refresh(layout=True)
        super().watch_cursor()

    def action_walk(self, across: int, down: int) -> None:
        self._moved = True
        super().action_walk(across, down)

    def action_walk_to(self, end: int) -> None:
        self._moved = True
        super().action_walk_to(end)

    def on_click(self, event: Click) -> None:
        self._moved = True
        super().on_click(event)

    def row_count(self, width: int) -> int:
        return 1 + len(self.layout_at(width).lines)

    def row(self, y: int, width: int) -> Row:
        if y == 0:
            return [Span(visible(self.view.title), "title")]
        cursor = self.cursor[1] if self.has_focus else None
        return transcript_row(self.view, self.layout_at(width), y - 1, cursor, glyphs_only(self.app))

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        places = self.layout_at(self.size.width).places
        if not places:
            return self.cursor
        index = self.cursor[1]
        if across:
            return 0, min(max(index + across, 0), len(places) - 1)
        here = places[index]
        beyond = [place.line for place in places if (place.line - here.line) * down > 0]
        if not beyond:
            return self.cursor
        line = min(beyond) if down > 0 else max(beyond)
        return 0, min(_on(places, line), key=lambda n: abs(places[n].x - here.x))

    def edge(self, end: int) -> tuple[int, int]:
        places = self.layout_at(self.size.width).places
        return (0, _on(places, places[self.cursor[1]].line)[end]) if places else self.cursor

    def describe(self) -> str:
        layout = self.layout_at(self.size.width)
        return place_facts(self.view, layout, self.cursor[1]) if layout.tokens else "no tokens"

    def settings_here(self) -> dict[str, Value]:
        return {}

    def cursor_region(self) -> Region:
        places = self.layout_at(self.size.width).places
        if not places:
            return Region(0, 0, 1, 1)
        place = places[self.cursor[1]]
        if not self._moved:  # its turn and what came of it
            first = max(place.line - (LEAD if self.room >= ROOMY else 0), 0)
            return Region(0, first, self.size.width, self.row_count(self.size.width) - first)
        return Region(place.x, 1 + place.line, place.width, 1)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        places = self.layout_at(self.size.width).places
        return next(((0, n) for n in _on(places, y - 1) if places[n].x <= x < places[n].x + places[n].width), None)


def _on(places: tuple[Place, ...], line: int) -> list[int]:
    return [n for n, place in enumerate(places) if place.line == line]
