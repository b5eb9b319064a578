from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.events import Click
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.lessons.catalog.schema import Preset
from llm_holes.tui.actions import CHOOSE, bindings
from llm_holes.tui.content import content
from llm_holes.tui.draw.spans import Row, Span, plain
from llm_holes.tui.faults import Steady
from llm_holes.tui.messages import Described, PresetChosen
from llm_holes.tui.widgets.dial import BACK, ON


class PresetPicker(Steady, Widget, can_focus=True):
    """Named settings to try, and why each is there."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(CHOOSE)]
    BINDING_GROUP_TITLE = "In the presets"

    chosen: reactive[int | None] = reactive(None, layout=True)

    def __init__(self, presets: tuple[Preset, ...]) -> None:
        super().__init__(classes="dial")
        self.presets = presets

    def row(self) -> Row:
        name = "none" if self.chosen is None else self.presets[self.chosen].name
        return [
            Span("p", "act-strong"), Span(" preset ", "dim"), Span(BACK, "act"), Span(name, "act-strong"),
            Span(ON, "act"),
        ]  # fmt: skip

    def flow_size(self, width: int) -> tuple[int, int]:
        return min(cell_len(plain(self.row())), width), 1

    def render(self) -> VisualType:
        return content(self.row())

    def describe(self) -> str:
        if self.chosen is None:
            return "preset · settings worth trying, each with its reason; P lists them"
        preset = self.presets[self.chosen]
        surprise = "a surprise · " if preset.expect == "surprise" else ""
        return f"{surprise}{preset.why}"

    def following(self, count: int = 1) -> int:
        """The index `count` presets on; the first or last when none is chosen."""
        if self.chosen is None:
            return 0 if count > 0 else len(self.presets) - 1
        return (self.chosen + count) % len(self.presets)

    def action_step(self, count: int) -> None:
        self.post_message(PresetChosen(self.following(count)))

    def watch_chosen(self) -> None:
        self.post_message(Described(self))

    def on_focus(self) -> None:
        self.post_message(Described(self))

    def on_click(self, event: Click) -> None:
        start, end = len("p preset "), cell_len(plain(self.row()))
        if start <= event.x < start + len(BACK):
            self.action_step(-1)
        elif end - len(ON) <= event.x < end:
            self.action_step(1)
