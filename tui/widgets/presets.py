from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.lessons.catalog.schema import Preset
from llm_holes.tui.actions import CHOOSE, bindings
from llm_holes.tui.content import content
from llm_holes.tui.draw.spans import Row, Span, fit, plain
from llm_holes.tui.messages import Described, PresetChosen
from llm_holes.tui.widgets.controls import BACK, ON

MARKS = {"expected": "", "surprise": "! ", "other": ""}


class PresetPicker(Widget, can_focus=True):
    """Named settings to try, and why each is there."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(CHOOSE)]
    BINDING_GROUP_TITLE = "In the presets"

    chosen: reactive[int | None] = reactive(None)

    def __init__(self, presets: tuple[Preset, ...], label_width: int) -> None:
        super().__init__(classes="setting")
        self.presets = presets
        self.label_width = label_width

    def render(self) -> VisualType:
        row: Row = [Span(fit("preset", self.label_width) + "  ", "dim")]
        if self.chosen is None:
            row += [Span(BACK, "act"), Span("none", "act-strong"), Span(ON, "act")]
            row.append(Span(f"   {len(self.presets)} presets, p takes the next", "dim"))
            return content(row)
        preset = self.presets[self.chosen]
        row += [Span(BACK, "act"), Span(preset.name, "act-strong"), Span(ON, "act")]
        row.append(Span(f"   {self.chosen + 1} of {len(self.presets)}", "dim"))
        if preset.expect == "surprise":
            row.append(Span("   a surprise", "dim"))
        room = self.size.width - cell_len(plain(row)) - 3
        if room > 20:
            row.append(Span("   " + fit(preset.why, room).rstrip(), "dim"))
        return content(row)

    def describe(self) -> str:
        if self.chosen is None:
            return "preset · settings worth trying, each with its reason"
        return f"{self.presets[self.chosen].name} · {self.presets[self.chosen].why}"

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

    def on_click(self) -> None:
        self.action_step(1)
