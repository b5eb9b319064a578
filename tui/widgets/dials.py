from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from textual.layout import Layout
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.engine.frames import Scalar
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.schema import Control
from llm_holes.tui.content import content
from llm_holes.tui.draw.spans import Row, Span, plain
from llm_holes.tui.faults import Steady
from llm_holes.tui.messages import MoreDials
from llm_holes.tui.widgets.dial import Choice, Dial, Stepper, Switch
from llm_holes.tui.widgets.flow import FlowLayout
from llm_holes.tui.widgets.presets import PresetPicker
from llm_holes.tui.widgets.text_field import TextField


class More(Steady, Widget):
    """How many dials are folded away."""

    count: reactive[int] = reactive(0, layout=True)
    open: reactive[bool] = reactive(False, layout=True)

    def row(self) -> Row:
        return [Span("m", "act-strong"), Span(" fewer dials" if self.open else f" {self.count} more", "dim")]

    def flow_size(self, width: int) -> tuple[int, int]:
        return cell_len(plain(self.row())), 1

    def render(self) -> VisualType:
        return content(self.row())

    def on_click(self) -> None:
        self.post_message(MoreDials())


class Dials(Widget):
    """The lesson's controls in as few rows as they fit: the main ones, and the others when they are asked for."""

    def __init__(self) -> None:
        super().__init__(id="dials")
        self._flow = FlowLayout()
        self.model: ModelInfo | None = None
        self.presets: PresetPicker | None = None
        self.more = More()

    @property
    def layout(self) -> Layout:
        return self._flow

    async def show(self, lesson: Lesson, settings: Mapping[str, Scalar]) -> None:
        """Puts up the lesson's controls, holding these settings."""
        made: list[Dial | TextField] = [_widget(control, settings[control.name]) for control in lesson.controls]
        made.sort(key=lambda widget: not isinstance(widget, TextField))
        self.presets, self.more = PresetPicker(lesson.presets), More()
        await self.remove_children()
        await self.mount_all([*made, self.presets, self.more])
        self.take(self.model)
        self.fold()

    def fold(self) -> None:
        """Shows the main dials, or all of them if there are more."""
        rest = [widget for widget in self.controls() if not widget.control.main]
        if len(rest) == len(self.controls()):
            rest = []
        for widget in rest:
            widget.display = self.more.open
        self.more.count = len(rest)
        self.more.display = bool(rest)
        self.refresh(layout=True)

    def toggle(self) -> None:
        self.more.open = not self.more.open
        self.fold()

    def controls(self) -> list[Dial | TextField]:
        return [w for w in self.children if isinstance(w, Dial | TextField)]

    def turned(self) -> list[Widget]:
        """What is turned rather than written: the dials and the presets."""
        return [w for w in self.children if isinstance(w, Dial | PresetPicker)]

    def texts(self) -> list[TextField]:
        """The text fields in sight."""
        return [w for w in self.children if isinstance(w, TextField) and w.display]

    def show_settings(self, values: Mapping[str, Scalar]) -> None:
        """Those of the lesson before, which are just being taken away, have no part in it."""
        for widget in self.controls():
            if widget.control.name in values:
                widget.value = values[widget.control.name]

    def mark_preset(self, index: int | None) -> None:
        """Names the preset that is set; none once anything was changed."""
        if self.presets is not None:
            self.presets.chosen = index

    def take(self, model: ModelInfo | None) -> None:
        self.model = model
        for widget in self.controls():
            widget.take(model)


def _widget(control: Control, value: Scalar) -> Dial | TextField:
    if control.kind == "text":
        return TextField(control, value)
    if control.kind == "choice":
        return Choice(control, value)
    return (Switch if control.kind == "toggle" else Stepper)(control, value)
