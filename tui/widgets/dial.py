"""The experiment's parameters, several to a row: `label ◂ value ▸`; the range and the help are in the hint line."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.binding import BindingType
from textual.events import Blur, Click, Key
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.engine.frames import Scalar
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.engine.numbers import exact, scalar
from llm_holes.lessons.catalog.schema import Control
from llm_holes.lessons.catalog.settings import SettingsError, bounds, clamped, parsed
from llm_holes.tui.actions import CHOOSE, STEP, SWITCH, bindings
from llm_holes.tui.content import content
from llm_holes.tui.draw.spans import Row, Span, plain
from llm_holes.tui.faults import Steady
from llm_holes.tui.messages import Changed, Described

BACK, ON = "◂ ", " ▸"


class Dial(Steady, Widget, can_focus=True):
    """One control. `value` is what the experiment gets; only valid values can be entered."""

    BINDING_GROUP_TITLE = "In a dial"

    value: reactive[Scalar] = reactive[Scalar]("", layout=True)

    def __init__(self, control: Control, value: Scalar, label_width: int = 0) -> None:
        super().__init__(classes="dial")
        self.control = control
        self.label = control.label.ljust(label_width)
        self.set_reactive(Dial.value, value)

    def value_row(self) -> Row:
        raise NotImplementedError

    def range_text(self) -> str:
        return ""

    def take(self, model: ModelInfo | None) -> None:
        """Called when the model, and with it the range, is known."""

    def row(self) -> Row:
        return [Span(self.label + " ", "dim"), *self.value_row()]

    def flow_size(self, width: int) -> tuple[int, int]:
        return min(cell_len(plain(self.row())), width), 1

    def render(self) -> VisualType:
        return content(self.row())

    def describe(self) -> str:
        return " · ".join(filter(None, (self.control.label, self.range_text(), self.control.help)))

    def set_by_hand(self, value: Scalar) -> None:
        if value != self.value:
            self.value = value
            self.post_message(Changed(self.control.name, value))

    def watch_value(self) -> None:
        self.post_message(Described(self))

    def on_focus(self) -> None:
        self.post_message(Described(self))

    def value_at(self, x: int) -> int:
        """-1 on the arrow back, 1 on the one on, 0 elsewhere, for a column of this dial."""
        start, end = cell_len(self.label) + 1, cell_len(plain(self.row()))
        return -1 if start <= x < start + len(BACK) else 1 if end - len(ON) <= x < end else 0


class Stepper(Dial):
    """A number: arrows step it, shift makes the step ten times as long, digits type it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(STEP)]
    typed: reactive[str] = reactive("", layout=True)

    def __init__(self, control: Control, value: Scalar, label_width: int = 0) -> None:
        super().__init__(control, value, label_width)
        self.model: ModelInfo | None = None

    @property
    def low(self) -> float | None:
        return bounds(self.control, self.model)[0]

    @property
    def high(self) -> float | None:
        return bounds(self.control, self.model)[1]

    def take(self, model: ModelInfo | None) -> None:
        self.model = model
        self.value = clamped(self.control, self.value, model)
        self.refresh()

    def value_row(self) -> Row:
        if self.typed:
            return [Span(BACK, "faint"), Span(self.typed + "_", "act-strong"), Span(ON, "faint")]
        back = self.low is None or float(self.value) > self.low
        on = self.high is None or float(self.value) < self.high
        return [
            Span(BACK, "act" if back else "faint"),
            Span(scalar(self.value, "exact"), "act-strong"),
            Span(ON, "act" if on else "faint"),
        ]

    def range_text(self) -> str:
        ends = ("" if end is None else exact(end) for end in (self.low, self.high))
        low, high = ends
        return f"{low}–{high}" if low and high else ""

    def action_step(self, count: int) -> None:
        self.typed = ""
        step = self.control.step or (0.1 if self.control.kind == "float" else 1)
        self._set(float(self.value) + count * step)

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        return bool(character) and self._could_be(self.typed + (character or ""))

    def on_key(self, event: Key) -> None:
        if event.key == "enter" and self.typed:
            self.typed = ""
            return  # it means what enter means here without a number being typed
        if event.key in ("backspace", "escape") and self.typed:
            self.typed = self.typed[:-1] if event.key == "backspace" else ""
        elif event.character and self._could_be(self.typed + event.character):
            self.typed += event.character
        else:
            return
        event.stop()
        event.prevent_default()
        self._take_typed()

    def on_blur(self, event: Blur) -> None:
        self.typed = ""

    def _could_be(self, text: str) -> bool:
        """Whether the text can be, or become, a value in the range."""
        if text in {"-", ".", "-."}:
            return (self.low is None or self.low < 0) if "-" in text else self.control.kind == "float"
        if not text.strip() or text != text.strip() or "_" in text:
            return False
        try:
            value = float(parsed(self.control, text))
        except SettingsError:
            return False
        return (self.high is None or value <= self.high) and (value >= 0 or self.low is None or value >= self.low)

    def _take_typed(self) -> None:
        try:
            value = parsed(self.control, self.typed)
        except SettingsError:
            return
        if self._inside(float(value)) == value:
            self.set_by_hand(value)

    def _inside(self, value: float) -> Scalar:
        return clamped(self.control, value if self.control.kind == "float" else int(value), self.model)

    def _set(self, value: float) -> None:
        self.set_by_hand(self._inside(value))

    def on_click(self, event: Click) -> None:
        if way := self.value_at(event.x):
            self.action_step(way)


class Choice(Dial):
    """One of a few, between arrows."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(CHOOSE)]

    def value_row(self) -> Row:
        return [Span(BACK, "act"), Span(str(self.value), "act-strong"), Span(ON, "act")]

    def range_text(self) -> str:
        return f"{self.control.choices.index(str(self.value)) + 1} of {len(self.control.choices)}"

    def action_step(self, count: int) -> None:
        choices = self.control.choices
        self.set_by_hand(choices[(choices.index(str(self.value)) + count) % len(choices)])

    def on_click(self, event: Click) -> None:
        if way := self.value_at(event.x):
            self.action_step(way)


class Switch(Dial):
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(SWITCH)]

    def value_row(self) -> Row:
        return [Span("[x]" if self.value else "[ ]", "act-strong" if self.value else "act")]

    def action_switch(self) -> None:
        self.set_by_hand(not self.value)

    def on_click(self) -> None:
        self.action_switch()
