"""Messages between the widgets and the app. Widgets post these; only the app acts on them."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message
from textual.widget import Widget

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.messages import Reply
from llm_holes.tui.link import Died


@dataclass
class Replied(Message):
    """The engine said something, or died."""

    reply: Reply | Died


@dataclass
class OpenLesson(Message):
    """The learner wants this lesson on the page."""

    lesson: str


class Play(Message):
    """The learner wants the game."""


@dataclass
class Changed(Message):
    """A control has a new value; `now` asks for a run at once instead of after a pause."""

    name: str
    value: Value
    now: bool = False


@dataclass
class Picked(Message):
    """Enter on a cell or token: set these controls and run."""

    settings: dict[str, Value]


@dataclass
class PresetChosen(Message):
    index: int


@dataclass
class Decided(Message):
    """The learner committed to an answer, an option's index or a number, before the run; None: skipped the question."""

    answer: float | None
    sure: int = 50


@dataclass
class Described(Message):
    """What the focused widget has to say about itself has changed."""

    widget: Widget

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Described) and message.widget is self.widget


@dataclass
class Left(Message):
    """The learner goes one level out of this widget."""

    widget: Widget


@dataclass
class TabChosen(Message):
    """The learner wants another view on the stage."""

    key: str


class MoreDials(Message):
    """The learner wants to see the other dials, or only the main ones again."""
