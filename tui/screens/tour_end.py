from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from llm_holes.engine.numbers import plural
from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.tui.draw.spans import Row, Span, wrapped
from llm_holes.tui.screens.card import CardScreen


class TourEndScreen(CardScreen):
    """After the tour's last stop: where to go on. Gives `begin`, `back` or None to stay.

    Args:
        lessons: those the tour led through.
        right: of each bet in them that was decided, whether it was right.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "give('begin')", "begin", tooltip="To the first lesson, all of it", id="tour-end-begin"),
        Binding("backspace", "give('back')", "back", show=False, tooltip="Back to the last stop", id="tour-end-back"),
    ]

    def __init__(self, lessons: Sequence[Lesson], catalog: Catalog, right: Sequence[bool]) -> None:
        super().__init__("the end of the tour", "enter begins the first lesson · esc stays here")
        self.lessons, self.catalog, self.right = lessons, catalog, right

    def rows(self, width: int) -> list[Row]:
        rows: list[Row] = [[Span(line)] for line in wrapped(self._said(), width)]
        first, here = next(iter(self.catalog.lessons.values())), self.lessons[-1]
        rows += [[], [Span("where to go on", "dim")]]
        for key, does in (
            ("enter", f"the first lesson, step by step: “{first.title}”"),
            ("esc", f"stays here, and space walks the steps of “{here.title}”"),
            ("esc esc", f"opens the map of all {len(self.catalog.lessons)} lessons"),
            ("T", "begins the tour again"),
        ):
            head, *rest = wrapped(does, width - 9)
            rows += [[Span(key.ljust(9), "act-strong"), Span(head)], *([Span(" " * 9), Span(line)] for line in rest)]
        return rows

    def _said(self) -> str:
        been = f"You looked into {plural(len(self.lessons), 'lesson')}"
        bets = f" and made {plural(len(self.right), 'bet')}, {sum(self.right)} right" if self.right else ""
        return f"{been}{bets}. Every number you saw was measured just now, on this model."

    def action_give(self, what: str) -> None:
        self.dismiss(what)
