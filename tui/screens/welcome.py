from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from llm_holes.tui.draw.spans import Row, Span, wrapped
from llm_holes.tui.screens.card import CardScreen

WHAT = """What really happens when a message is sent to a language model? Here is a real one, on this machine, and
{holes} lessons that look into it. You bet, it runs, you see what was measured. No number is made up in advance."""
KEYS = (
    ("space", "goes on, from step to step"),
    ("e", "puts in your own text"),
    ("tab ← →", "turns the dials below the picture"),
    ("esc", "opens the map of all lessons"),
    ("?", "lists every key that does something"),
)


class WelcomeScreen(CardScreen):
    """The first thing a new learner sees. Gives `tour`, or None to begin."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "leave", "begin", tooltip="Begin with the first lesson", id="welcome-begin"),
        Binding("t", "tour", "tour", tooltip="Ten minutes through eight lessons", id="welcome-tour"),
    ]

    def __init__(self, holes: int, machine: str) -> None:
        super().__init__("llm-holes", "enter begins · t the tour, ten minutes")
        self.holes, self.machine = holes, machine

    def tell(self, machine: str) -> None:
        """What the machine does now, in one line."""
        self.machine = machine
        if self.is_mounted:
            self.show()

    def rows(self, width: int) -> list[Row]:
        rows: list[Row] = [[Span(line)] for line in wrapped(" ".join(WHAT.format(holes=self.holes).split()), width)]
        rows += [[], *([Span(line, "measured")] for line in wrapped(self.machine, width)), []]
        rows += [[Span(key.ljust(9), "act-strong"), Span(does)] for key, does in KEYS]
        rows += [[], [Span("enter", "act-strong"), Span(" begins     "), Span("t", "act-strong"), Span(" the tour")]]
        return rows

    def action_tour(self) -> None:
        self.dismiss("tour")
