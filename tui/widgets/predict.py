"""The prediction: the form that asks before a run, and what became of it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.events import Key
from textual.geometry import Size
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.lessons.catalog.schema import Bet, Option
from llm_holes.tui.actions import PREDICT, bindings
from llm_holes.tui.content import lines
from llm_holes.tui.draw.spans import POINTER, Row, Span, wrapped
from llm_holes.tui.draw.words import marked, marked_rows, wrapped_spans
from llm_holes.tui.faults import Steady
from llm_holes.tui.messages import Decided
from llm_holes.tui.widgets.dial import BACK, ON

if TYPE_CHECKING:
    from llm_holes.lessons.learner.learner import Judged

GUESS, CERTAIN, STEP = 50, 100, 10
FIRST_SURE = 70
RIGHT, WRONG = "✓ ", "✗ "


class PredictForm(Steady, Widget, can_focus=True):
    """A question to commit to before the result exists. Says `Decided` when the learner answered or skipped it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(PREDICT)]
    BINDING_GROUP_TITLE = "In a prediction"

    question: reactive[Bet | None] = reactive(None, layout=True)
    chosen: reactive[int | None] = reactive(None)
    typed: reactive[str] = reactive("")
    sure: reactive[int] = reactive(FIRST_SURE)
    missing: reactive[bool] = reactive(False)
    """Whether the learner wanted to commit to nothing."""

    def watch_question(self, question: Bet | None) -> None:
        self.display = question is not None
        self.chosen, self.typed, self.sure, self.missing = None, "", FIRST_SURE, False

    @property
    def answer(self) -> float | None:
        """The index of the option, or the number; None as long as there is none."""
        if self.question is None or self.question.options:
            return self.chosen
        try:
            return float(self.typed)
        except ValueError:
            return None

    def render(self) -> VisualType:
        return lines(self._rows(self.content_size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        # for the width to come: the one in `content_size` is from before the layout
        return len(self._rows(width))

    def _rows(self, across: int) -> list[Row]:
        if self.question is None:
            return []
        width = max(across, 20)
        rows = marked_rows(self.question.question, width, "strong")
        return [*rows, *self._answers(width), self._keys()]

    def _answers(self, width: int) -> list[Row]:
        assert self.question is not None
        if not self.question.options:
            return [[Span("a number  ", "dim"), Span((self.typed or "") + "_", "act-strong")]]
        return option_rows(self.question.options, self.chosen, width)

    def _keys(self) -> Row:
        if not self.has_focus:
            return _key("b", " comes here to bet; it runs after that")
        choose = f"1-{len(self.question.options)}" if self.question and self.question.options else "0-9"
        sure = sure_row(self.sure)
        if self.missing:
            return [*sure, Span(choose, "act-strong"), Span(" first, then enter  ", "strong"), *_key("s", " skips")]
        commit = _key("enter", " bets and runs  ") if self.answer is not None else _key(choose, " answers  ")
        return [*sure, *commit, *_key("s", " skips")]

    def describe(self) -> str:
        return "your bet · ↓ ↑ or a digit chooses, ← → how sure; what surprises you stays"

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        return bool(character) and self._takes(character or "")

    def on_key(self, event: Key) -> None:
        if event.key == "backspace" and self.typed:
            self.typed = self.typed[:-1]
        elif event.character and self._takes(event.character):
            self._take(event.character)
        else:
            return
        event.stop()
        event.prevent_default()

    def _takes(self, character: str) -> bool:
        if self.question is None:
            return False
        if self.question.options:
            return character in "123456789"
        return (
            character in "0123456789" or (character == "-" and not self.typed) or (character == "." not in self.typed)
        )

    def _take(self, character: str) -> None:
        self.missing = False
        if self.question is not None and self.question.options:
            if int(character) <= len(self.question.options):
                self.chosen = int(character) - 1
        else:
            self.typed += character

    def action_choose(self, count: int) -> None:
        if self.question is not None and (options := len(self.question.options)):
            start = -1 if self.chosen is None and count > 0 else self.chosen or 0
            self.chosen, self.missing = (start + count) % options, False

    def action_surer(self, count: int) -> None:
        self.sure = surer(self.sure, count)

    def action_commit(self) -> None:
        if self.answer is None:
            self.missing = True
        else:
            self.post_message(Decided(self.answer, self.sure))

    def action_skip(self) -> None:
        self.post_message(Decided(None))


class Verdict(Widget):
    """What the learner said beside what was measured. After another run it is history, in one quiet line."""

    judged: reactive[Judged | None] = reactive(None, layout=True)
    past: reactive[bool] = reactive(False, layout=True)

    def on_mount(self) -> None:
        self.display = False

    def watch_judged(self, judged: Judged | None) -> None:
        self.display = judged is not None

    def render(self) -> VisualType:
        return lines(self._rows(self.content_size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows(width))

    def _rows(self, across: int) -> list[Row]:
        if self.judged is None:
            return []
        width = max(across, 20)
        outcome = self.judged.outcome
        mark = {True: RIGHT, False: WRONG, None: ""}[outcome.right]
        if self.past:
            return [[Span(line, "dim")] for line in wrapped(f"your bet: {mark}{outcome.sentence}", width)]
        because = marked(" " + outcome.because) if outcome.right is not None and outcome.because else []
        return wrapped_spans([Span(mark + outcome.opening, "measured"), *because], width)


def option_rows(options: tuple[Option, ...], chosen: int | None, width: int) -> list[Row]:
    """The options with their numbers, the chosen one marked."""
    rows: list[Row] = []
    for n, option in enumerate(options):
        here = n == chosen
        first, *rest = marked_rows(option.text, width - 5, "act-strong" if here else "")
        rows.append([Span(POINTER if here else "  ", "act-strong"), Span(f"{n + 1}  ", "act"), *first])
        rows += [[Span("     "), *row] for row in rest]
    return rows


def surer(sure: int, steps: int) -> int:
    """The confidence, in percent, some steps up or down from `sure`."""
    return min(max(sure + steps * STEP, GUESS), CERTAIN)


def sure_row(sure: int) -> Row:
    """How sure, from a guess to certain."""
    return [
        Span("how sure ", "dim"),
        Span(BACK, "act" if sure > GUESS else "faint"),
        Span(f"{sure} %", "act-strong"),
        Span(ON, "act" if sure < CERTAIN else "faint"),
        Span("   "),
    ]


def _key(key: str, does: str) -> Row:
    return [Span(key, "act-strong"), Span(does, "dim")]
