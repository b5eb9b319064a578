"""Questions one at a time: hints one by one, and every option explained once one was chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import ClassVar

from msgspec import structs
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widgets import Static

from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.schema import Question
from llm_holes.lessons.learner.events import Answered, Event, Hinted
from llm_holes.lessons.learner.grading import Measured, Outcome, explained, grade
from llm_holes.tui.content import lines
from llm_holes.tui.draw.spans import POINTER, Row, Span, wrapped
from llm_holes.tui.draw.words import marked_rows
from llm_holes.tui.screens.dialog import Dialog
from llm_holes.tui.screens.help import Sheet
from llm_holes.tui.widgets.predict import FIRST_SURE, RIGHT, WRONG, option_rows, sure_row, surer

Card = tuple[Lesson, Question]


class QuizScreen(Dialog[None]):
    """Asks the cards in order.

    Args:
        title: what this is.
        cards: the questions, each with its lesson.
        measured: what the last run of a lesson measured; None if there was none.
        model: the facts that explanations quote.
        record: keeps what the learner did.
        rng: mixes the options, so that nobody learns where the right one is.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "on", "answer", tooltip="Answer, then the next question", id="quiz-on"),
        Binding("h", "hint", "hint", tooltip="One hint more", id="quiz-hint"),
        Binding("left", "surer(-1)", "less sure", tooltip="Ten percent less confident", id="quiz-less"),
        Binding("right", "surer(1)", "more sure", tooltip="Ten percent more confident", id="quiz-more"),
    ]

    def __init__(
        self,
        title: str,
        cards: list[Card],
        measured: Callable[[Lesson], Measured | None],
        model: Mapping[str, object],
        record: Callable[[Event], None],
        rng: Random,
    ) -> None:
        super().__init__()
        self._rng = rng
        self.title_text, self.cards, self.model = title, cards, model
        self._measured, self._record = measured, record
        self.at, self.right = 0, 0
        self._begin()

    def _begin(self) -> None:
        self.shown = mixed(self.cards[self.at][1], self._rng) if self.at < len(self.cards) else None
        self.chosen: int | None = None
        self.hints, self.sure = 0, FIRST_SURE
        self.outcome: Outcome | None = None

    def compose(self) -> ComposeResult:
        sheet = Sheet(Static(id="card"), classes="dialog still")
        sheet.border_title = self.title_text
        yield sheet

    def on_mount(self) -> None:
        self._show()

    def on_resize(self) -> None:
        self._show()

    @property
    def card(self) -> Card | None:
        """The lesson, and the question with its options as they are shown."""
        return (self.cards[self.at][0], self.shown) if self.shown is not None else None

    def on_key(self, event: Key) -> None:
        card = self.card
        if card is None or self.outcome is not None or event.character not in set("123456789"):
            return
        if int(event.character or 0) <= len(card[1].options):
            self.chosen = int(event.character or 1) - 1
            self._show()

    def action_hint(self) -> None:
        if (card := self.card) is not None and self.outcome is None and self.hints < len(card[1].hints):
            self.hints += 1
            self._record(Hinted(lesson=card[0].id, question=card[1].question, count=self.hints))
            self._show()

    def action_surer(self, count: int) -> None:
        if self.card is not None and self.outcome is None:
            self.sure = surer(self.sure, count)
            self._show()

    def action_on(self) -> None:
        if self.card is None:
            self.dismiss(None)
        elif self.outcome is not None:
            self.at += 1
            self._begin()
            self._show()
        elif self.chosen is not None:
            self._answer(*self.card)
            self._show()

    def _answer(self, lesson: Lesson, question: Question) -> None:
        assert self.chosen is not None
        self.outcome = outcome = grade(question, self.chosen, self._measured(lesson), self.model)
        if outcome.right is None:
            # an answer that nothing can decide yet is not one to remember
            return
        self.right += outcome.right
        self._record(
            Answered(
                lesson=lesson.id, question=question.question, option=self._place(question), said=outcome.said,
                right=outcome.right, was=outcome.was, confidence=self.sure,
            )
        )  # fmt: skip

    def _place(self, shown: Question) -> int:
        """The index that the chosen option has in the lesson."""
        assert self.chosen is not None
        return self.cards[self.at][1].options.index(shown.options[self.chosen])

    def _show(self) -> None:
        sheet = self.query_one(Sheet)
        width = max(sheet.scrollable_content_region.width or 60, 20)
        rows = self._end(width) if self.card is None else self._rows(*self.card, width)
        self.query_one("#card", Static).update(lines(rows))
        sheet.border_subtitle = self._keys()
        sheet.scroll_home(animate=False)

    def _keys(self) -> str:
        if self.card is None:
            return "enter close"
        if self.outcome is not None:
            return f"enter {'next question' if self.at + 1 < len(self.cards) else 'end'} · ↓ j  ↑ k scroll · esc close"
        answer = "enter answer" if self.chosen is not None else f"1-{len(self.card[1].options)} choose"
        more = " · h hint" if self.hints < len(self.card[1].hints) else ""
        return f"{answer} · ← → how sure{more} · esc close"

    def _rows(self, lesson: Lesson, question: Question, width: int) -> list[Row]:
        rows: list[Row] = [[Span(f"question {self.at + 1} of {len(self.cards)} · {lesson.title}", "dim")], []]
        rows += marked_rows(question.question, width, "strong")
        rows.append([])
        if self.outcome is None:
            rows += [*option_rows(question.options, self.chosen, width), [], sure_row(self.sure)]
        else:
            rows += self._explained(lesson, question, width)
        for n, hint in enumerate(question.hints[: self.hints], 1):
            head = f"hint {n} of {len(question.hints)}  "
            for row in marked_rows(hint, width - len(head)):
                rows += [[]] if head.strip() else []
                rows.append([Span(head, "dim"), *row])
                head = " " * len(head)
        return rows

    def _explained(self, lesson: Lesson, question: Question, width: int) -> list[Row]:
        assert self.outcome is not None
        mark = {True: RIGHT, False: WRONG, None: ""}[self.outcome.right]
        rows: list[Row] = [[Span(line, "measured")] for line in wrapped(mark + self.outcome.sentence, width)]
        if self.outcome.right is None:
            return rows
        for n, option in enumerate(explained(question, self._measured(lesson), self.model)):
            pointer, right = POINTER if n == self.chosen else "  ", RIGHT if option.right else "  "
            rows.append([])
            for row in marked_rows(option.text, width - 4, "strong"):
                rows.append([Span(pointer, "act-strong"), Span(right, "strong"), *row])
                right = "  "
            rows += [[Span("    "), *row] for row in marked_rows(option.because, width - 4)]
        if self._measured(lesson) is None and any("{measured." in option.because for option in question.options):
            rows += [[], *_dim("For … there is a number once the lesson was run.", width)]
        return rows

    def _end(self, width: int) -> list[Row]:
        again = "They come back before you forget them, the missed ones soonest: v shows what is due."
        return [[Span(f"{self.right} of {len(self.cards)} right.", "strong")], [], *_dim(again, width)]


def mixed(question: Question, rng: Random) -> Question:
    """The question with its options in another order; those that are ranges of a number keep theirs."""
    options = question.options
    if any(option.at_least is not None or option.below is not None for option in options):
        return question
    return structs.replace(question, options=tuple(rng.sample(options, len(options))))


def _dim(text: str, width: int) -> list[Row]:
    return [[Span(line, "dim")] for line in wrapped(text, width)]
