from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.learner.events import Graded, Predicted
from llm_holes.tui.draw.spans import Row, Span, wrapped
from llm_holes.tui.screens.card import CardScreen
from llm_holes.tui.widgets.predict import RIGHT, WRONG

Bets = Sequence[tuple[str, tuple[Predicted, Graded] | None]]
"""Each bet's question, and what came of it if it was decided."""


class EndScreen(CardScreen):
    """After a lesson's last step. Gives `quiz`, `next` or None.

    Args:
        passed: whether the lesson's quiz was answered right.
        following: the lesson that comes next, if there is one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z", "give('quiz')", "quiz", tooltip="Answer this lesson's questions", id="end-quiz"),
        Binding("d", "give('next')", "next", tooltip="On to the next lesson", id="end-next"),
        Binding("enter,space", "on", "go on", tooltip="To the quiz, or on to the next lesson", id="end-on"),
        Binding("backspace", "leave", "back", show=False, tooltip="Back to the last step", id="end-back"),
    ]

    def __init__(self, lesson: Lesson, bets: Bets, passed: bool, following: Lesson | None) -> None:
        super().__init__(lesson.title, "space goes on · esc back")
        self.lesson, self.bets, self.passed, self.following = lesson, bets, passed, following

    def rows(self, width: int) -> list[Row]:
        rows: list[Row] = [[Span("to keep", "dim")]]
        rows += [[Span(line, "strong")] for line in wrapped(self.lesson.data.keep, width)]
        rows += [[], [Span("your bets, and what was measured" if self.bets else "", "dim")]]
        for question, outcome in self.bets:
            rows += bet_rows(question, outcome, width)
        rows.append([])
        if self.passed:
            rows.append([Span(RIGHT, "strong"), Span("passed   ", "strong"), *_key("z", "asks the questions again")])
        else:
            count = len(self.lesson.data.quiz)
            rows.append(_key("z", f"{count} questions; answered right, they pass the lesson"))
        if self.following is not None:
            rows.append(_key("d", f"next: {self.following.title}"))
        return rows

    def action_give(self, what: str) -> None:
        if what != "next" or self.following is not None:
            self.dismiss(what)

    def action_on(self) -> None:
        self.action_give("next" if self.passed else "quiz")


def bet_rows(question: str, outcome: tuple[Predicted, Graded] | None, width: int) -> list[Row]:
    """The question, and below it what was said beside what was measured."""
    rows: list[Row] = [[Span(line)] for line in wrapped(question, width)]
    if outcome is None:
        return [*rows, [Span("  not answered", "dim")]]
    predicted, graded = outcome
    mark = RIGHT if graded.right else WRONG
    said = f"{mark}you said “{predicted.said}”, {predicted.confidence} % sure; measured {graded.was}"
    return [*rows, *([Span("  "), Span(line, "measured")] for line in wrapped(said, width - 2))]


def _key(key: str, does: str) -> Row:
    return [Span(key, "act-strong"), Span("  " + does)]
