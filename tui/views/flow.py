from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import Flow, Value
from llm_holes.tui.draw.flow import flow_rows, stage_facts, stage_rows
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.messages import OpenLesson
from llm_holes.tui.views.places import PlacesView


class FlowView(PlacesView[Flow]):
    """The cursor is (stage, 0); Enter opens the hole of the stage."""

    def prepare(self, view: Flow) -> None:
        if self.cursor[0] >= len(view.stages):
            self.set_reactive(FlowView.cursor, (0, 0))

    def layout_rows(self, width: int) -> list[Row]:
        return flow_rows(self.view, width, self.cursor[0] if self.has_focus else None, self.room)

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        return min(max(self.cursor[0] + across + down, 0), max(len(self.view.stages) - 1, 0)), 0

    def edge(self, end: int) -> tuple[int, int]:
        return (max(len(self.view.stages) - 1, 0) if end else 0), 0

    def hole(self) -> str:
        return self.view.stages[self.cursor[0]].hole if self.view.stages else ""

    def describe(self) -> str:
        return stage_facts(self.view, self.cursor[0]) if self.view.stages else "no parts yet"

    def settings_here(self) -> dict[str, Value]:
        return {}

    def action_pick(self) -> None:
        if hole := self.hole():
            self.post_message(OpenLesson(hole))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.hole()) if action == "pick" else True

    def cursor_region(self) -> Region:
        stages = stage_rows(self.view, self.size.width, room=self.room)
        above = 1 + sum(map(len, stages[: self.cursor[0]]))
        return Region(0, above, self.size.width, len(stages[self.cursor[0]]) if stages else 1)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        line = 1
        for n, rows in enumerate(stage_rows(self.view, self.size.width, room=self.room)):
            if line <= y < line + len(rows):
                return n, 0
            line += len(rows)
        return None
