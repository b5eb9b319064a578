from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.events import Key
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from llm_holes.engine.frames import Scalar
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog.schema import Control
from llm_holes.tui.actions import WRITE, bindings
from llm_holes.tui.draw.sanitize import editable, meant
from llm_holes.tui.messages import Changed, Described


class TextField(TextArea):
    """The learner's text: Enter runs it, ctrl+j starts a new line. Control characters are held as visible marks."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(WRITE)]
    BINDING_GROUP_TITLE = "Writing"

    def __init__(self, control: Control, value: Scalar, label_width: int) -> None:
        super().__init__(
            editable(str(value)), soft_wrap=True, tab_behavior="focus", show_line_numbers=False, compact=True,
            highlight_cursor_line=False,
        )  # fmt: skip
        self.control = control
        self.label_width = label_width
        self.cursor_blink = False
        self.border_title = control.label
        self._known = str(value)

    @property
    def value(self) -> str:
        return meant(self.text)

    @value.setter
    def value(self, value: Scalar) -> None:
        if value != self.value:
            self._known = str(value)
            self.load_text(editable(str(value)))

    def take(self, model: ModelInfo | None) -> None:
        pass

    def describe(self) -> str:
        return f"{self.control.label} · {self.control.help}"

    def edit(self, edit: Edit) -> EditResult:
        edit.text = editable(edit.text)
        return super().edit(edit)

    def action_done(self) -> None:
        self._known = self.value
        self.post_message(Changed(self.control.name, self.value, now=True))

    def action_new_line(self) -> None:
        self.insert("\n")

    def on_key(self, event: Key) -> None:
        if event.key in ("enter", "ctrl+j", "alt+enter"):
            # left to the bindings
            event.prevent_default()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        if self.value != self._known:
            self._known = self.value
            self.post_message(Changed(self.control.name, self._known))

    def on_focus(self) -> None:
        self.post_message(Described(self))
