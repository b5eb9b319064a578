"""Where the learner is in each lesson, what reaching a step sets, and what stays closed until a step is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llm_holes.engine.frames import Value
from llm_holes.tui.services.game import Game
from llm_holes.tui.services.settings import Settings

if TYPE_CHECKING:
    from llm_holes.lessons.catalog.catalog import Lesson
    from llm_holes.lessons.catalog.schema import Bet
    from llm_holes.lessons.learner.learner import Learner


class Steps:
    """A bet is asked over its own settings only, and never while a case of the game is open."""

    def __init__(self, settings: Settings, game: Game, learner: Callable[[], Learner]) -> None:
        self._settings, self._game, self._learner = settings, game, learner
        self._index: dict[str, int] = {}
        self._reached: dict[str, int] = {}
        self._aside: dict[str, dict[str, tuple[Value, Value]]] = {}
        """What the learner had set when a bet put up its own case, each with the value it got in its place."""

    def index(self, lesson: Lesson) -> int:
        return min(self._index.get(lesson.id, 0), len(lesson.steps) - 1)

    def begun(self, lesson: Lesson) -> bool:
        """Whether the lesson was entered in this session."""
        return lesson.id in self._index

    def place(self, lesson: Lesson, index: int) -> None:
        """The learner is at this step, with whatever is set."""
        self._index[lesson.id] = min(max(index, 0), len(lesson.steps) - 1)
        self._reached[lesson.id] = max(self._reached.get(lesson.id, 0), self._index[lesson.id])

    def enter(self, lesson: Lesson, index: int) -> None:
        """Reaches a step: sets what it says, and the case of its bet if that is still open."""
        self.place(lesson, index)
        index = self.index(lesson)
        touched, now = lesson.step_settings(index), self._settings.of(lesson)
        put_aside = self._aside.pop(lesson.id, {})
        # what was changed since then is the learner's again
        mine = {name: before for name, (before, put) in put_aside.items() if now[name] == put}
        self._settings.change(lesson, {**mine, **touched})
        bet = lesson.steps[index].bet
        if bet is not None and self._open(lesson, bet):
            before = self._settings.of(lesson)
            self._settings.change(lesson, lesson.bet_settings(index))
            put = self._settings.of(lesson)
            self._aside[lesson.id] = {name: (before[name], put[name]) for name in put if name not in touched}

    def bet(self, lesson: Lesson) -> Bet | None:
        """The bet to be answered or skipped before the current step runs with what is set now."""
        index = self.index(lesson)
        bet = lesson.steps[index].bet
        if bet is None or not self._open(lesson, bet):
            return None
        return bet if self._settings.are(lesson, lesson.bet_settings(index)) else None

    def undecided(self, lesson: Lesson) -> frozenset[str]:
        """The measurements of the lesson's bets that were neither answered nor skipped."""
        return frozenset(bet.measurement for bet in lesson.data.bets if self._open(lesson, bet))

    def closed(self, lesson: Lesson) -> frozenset[str]:
        """The keys of the views that belong to later steps."""
        if self._game.open_case is not None:
            return frozenset()
        reached = self._reached.get(lesson.id, 0)
        opened = {step.view for step in lesson.steps[: reached + 1]}
        return frozenset(step.view for step in lesson.steps if step.view not in opened)

    def whole(self, lesson: Lesson) -> bool:
        """Whether every step was reached, so that nothing is closed."""
        return self._game.open_case is not None or self._reached.get(lesson.id, 0) >= len(lesson.steps) - 1

    def _open(self, lesson: Lesson, bet: Bet) -> bool:
        model = self._settings.model
        if model is not None and not model.can_decide(lesson.id, bet.measurement):
            return False
        return self._game.open_case is None and self._learner().undecided(lesson, bet)
