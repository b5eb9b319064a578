from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.events import Key
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from llm_holes.engine.frames import Scalar
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog.schema import Control
from llm_holes.tui.actions import WRITE, bindings
from llm_holes.tui.content import content
from llm_holes.tui.draw.sanitize import editable, meant, visible
from llm_holes.tui.draw.spans import Row, Span, fitted, plain
from llm_holes.tui.faults import Steady
from llm_holes.tui.messages import Changed, Described, Left


class TextField(Steady, TextArea):
    """The learner's text: at most one row, and a frame of its own while it is edited. Enter runs it, ctrl+j starts a
    new line, escape leaves with the old text. Control characters are held as visible marks."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(WRITE)]
    BINDING_GROUP_TITLE = "Writing"

    EDITED_ROWS = 5
    """Rows while it has the focus, with its frame."""

    def __init__(self, control: Control, value: Scalar) -> None:
        super().__init__(
            editable(str(value)), soft_wrap=True, tab_behavior="focus", show_line_numbers=False,
            highlight_cursor_line=False,
        )  # fmt: skip
        # compact=True does the same and looks all styles up, which mounting does anyway
        self.set_reactive(TextArea.compact, True)
        self.add_class("-textual-compact", update=False)
        self.control = control
        self.cursor_blink = False
        self.border_title = control.label
        self._known = self._kept = str(value)

    def on_unmount(self) -> None:
        """Ends what a TextArea subscribes to: Textual would hold on to it until the theme is changed."""
        self.screen.text_selection_started_signal.unsubscribe(self)
        watchers = getattr(self.app, "__watchers", {}).get("theme", [])
        watchers[:] = [(node, callback) for node, callback in watchers if node is not self]

    @property
    def value(self) -> str:
        return meant(self.text)

    @value.setter
    def value(self, value: Scalar) -> None:
        if value != self.value:
            self._known = self._kept = str(value)
            self.load_text(editable(str(value)))
            self.refresh(layout=True)

    def row(self) -> Row:
        """Its one row while it is not edited."""
        return [Span("e", "act-strong"), Span(f" {self.control.label} ", "dim"), Span(f"“{visible(self.value)}”")]

    def flow_size(self, width: int) -> tuple[int, int]:
        if self.has_focus:
            return width, self.EDITED_ROWS
        return min(width, cell_len(plain(self.row()))), 1

    def render_line(self, y: int) -> Strip:
        if self.has_focus:
            return super().render_line(y)
        text = content(fitted(self.row(), self.size.width))
        return Strip(text.render_segments(self.visual_style)).adjust_cell_length(self.size.width, self.rich_style)

    def take(self, model: ModelInfo | None) -> None:
        pass

    def describe(self) -> str:
        return f"{self.control.label} · {self.control.help}"

    def edit(self, edit: Edit) -> EditResult:
        edit.text = editable(edit.text)
        result = super().edit(edit)
        if (whole := editable(self.text)) != self.text:
            # combining marks that came one by one
            before = editable(self.get_text_range((0, 0), self.cursor_location)).split("\n")
            result = super().edit(Edit(whole, (0, 0), self.document.end, False))
            self.move_cursor((len(before) - 1, len(before[-1])))
        return result

    def action_done(self) -> None:
        self._known = self._kept = self.value
        self.post_message(Changed(self.control.name, self.value, now=True))

    def action_leave(self) -> None:
        """Out of the field with the text it had; what was typed comes back with ctrl+z."""
        if self.value != self._kept:
            self.replace(editable(self._kept), (0, 0), self.document.end)
            self._known = self._kept
            self.post_message(Changed(self.control.name, self._kept))
        self.post_message(Left(self))

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
        self._kept = self.value
        self.refresh(layout=True)
        self.post_message(Described(self))

    def on_blur(self) -> None:
        self.refresh(layout=True)
