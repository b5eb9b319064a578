"""The experiment's parameters, one line each: label, value, range, help."""

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
from llm_holes.tui.draw.spans import Row, Span, fit, plain
from llm_holes.tui.messages import Changed, Described

BACK, ON = "◂ ", " ▸"


class Setting(Widget, can_focus=True):
    """One control. `value` is what the experiment gets; only valid values can be entered."""

    BINDING_GROUP_TITLE = "In a control"

    value: reactive[Scalar] = reactive[Scalar]("")

    def __init__(self, control: Control, value: Scalar, label_width: int) -> None:
        super().__init__(classes="setting")
        self.control = control
        self.label_width = label_width
        self.set_reactive(Setting.value, value)

    def value_row(self) -> Row:
        raise NotImplementedError

    def range_text(self) -> str:
        return ""

    def take(self, model: ModelInfo | None) -> None:
        """Called when the model, and with it the range, is known."""

    def render(self) -> VisualType:
        row = [Span(fit(self.control.label, self.label_width) + "  ", "dim"), *self.value_row()]
        if extra := self.range_text():
            row.append(Span("   " + extra, "dim"))
        room = self.size.width - cell_len(plain(row)) - 3
        if room > 24 and cell_len(self.control.help) <= room:
            row.append(Span("   " + self.control.help, "dim"))
        return content(row)

    def describe(self) -> str:
        extra = self.range_text()
        said = [f"{self.control.label} {plain(self.value_row()).strip('◂▸ ')}", extra, self.control.help]
        return " · ".join(filter(None, said))

    def set_by_hand(self, value: Scalar) -> None:
        if value != self.value:
            self.value = value
            self.post_message(Changed(self.control.name, value))

    def watch_value(self) -> None:
        self.post_message(Described(self))

    def on_focus(self) -> None:
        self.post_message(Described(self))


class Stepper(Setting):
    """A number: arrows step it, shift makes the step ten times as long, digits type it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(STEP)]
    typed: reactive[str] = reactive("")

    def __init__(self, control: Control, value: Scalar, label_width: int) -> None:
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
        start = self.label_width + 2
        if start <= event.x < start + len(BACK):
            self.action_step(-1)
        elif event.x >= start + cell_len(plain(self.value_row())) - len(ON):
            self.action_step(1)


class Choice(Setting):
    """One of a few: all are shown where they fit, the chosen one between arrows."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(CHOOSE)]

    def value_row(self) -> Row:
        row: Row = []
        for choice in self.control.choices:
            chosen = choice == self.value
            row += [Span(BACK if chosen else "  ", "act"), Span(choice, "act-strong" if chosen else "dim")]
            row.append(Span(ON if chosen else "  ", "act"))
        if cell_len(plain(row)) + self.label_width + 2 <= self.size.width:
            return row
        place = f"   {self.control.choices.index(str(self.value)) + 1} of {len(self.control.choices)}"
        return [Span(BACK, "act"), Span(str(self.value), "act-strong"), Span(ON, "act"), Span(place, "dim")]

    def describe(self) -> str:
        return f"{self.control.label} {self.value} · {self.control.help}"

    def action_step(self, count: int) -> None:
        choices = self.control.choices
        self.set_by_hand(choices[(choices.index(str(self.value)) + count) % len(choices)])

    def on_click(self) -> None:
        self.action_step(1)


class Switch(Setting):
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(SWITCH)]

    def value_row(self) -> Row:
        return [Span("[x] on " if self.value else "[ ] off", "act-strong" if self.value else "act")]

    def action_switch(self) -> None:
        self.set_by_hand(not self.value)

    def on_click(self) -> None:
        self.action_switch()
