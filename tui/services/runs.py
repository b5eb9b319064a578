"""What happens to a wish to run, in this order: the game's case, the bet, the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.client import Died
from llm_holes.engine.ipc.messages import Reply
from llm_holes.engine.ipc.session import Session
from llm_holes.lessons.game.rules import FIND_THE_HOLE
from llm_holes.tui.services.game import Game
from llm_holes.tui.services.settings import Settings
from llm_holes.tui.services.steps import Steps

if TYPE_CHECKING:
    from llm_holes.lessons.catalog.catalog import Lesson
    from llm_holes.lessons.catalog.schema import Bet
    from llm_holes.lessons.learner.learner import Judged, Learner


@dataclass(frozen=True, slots=True)
class Ended:
    """What the end of a run came to: `judged` is what became of the prediction, `revealed` ends a case of the game."""

    judged: Judged | None = None
    revealed: bool = False


class Runs:
    """No run of a step begins before its bet is answered or skipped, and none on a broken model is graded."""

    def __init__(
        self, session: Session, settings: Settings, steps: Steps, game: Game, learner: Callable[[], Learner]
    ) -> None:
        self.session = session
        self._settings, self._steps, self._game, self._learner = settings, steps, game, learner
        self._tried = ""
        """The lesson that was to run when there was no model, and whose bet is asked for once there is one."""

    def bet(self, lesson: Lesson) -> Bet | None:
        """The bet that must come before this lesson runs. Without a model to run on nobody is asked for one."""
        return None if self.session.engine.phase == "unavailable" else self._steps.bet(lesson)

    def request(self, lesson: Lesson) -> Bet | None:
        """Runs the lesson, or gives the bet that must come first; with a model that did not load, loads it again."""
        self._tried = ""
        bet = self.bet(lesson)
        if bet is None and self._steps.bet(lesson) is not None:
            self.session.again()
            self._tried = lesson.id
        elif bet is None:
            self.session.start(lesson.id, dict(self._settings.of(lesson)), self._game.case)
        return bet

    def known(self, lesson: Lesson) -> bool:
        """Whether the run on the screen, or the one that is under way, is what a run of now would be."""
        run = self.session.run
        same = run.lesson == lesson.id and run.case == self._game.case and run.settings is not None
        return same and run.phase in ("queued", "running", "done") and run.settings == self._settings.of(lesson)

    def waits(self, lesson: Lesson) -> bool:
        """Whether this lesson was to run before there was a model; says so once."""
        tried, self._tried = self._tried, ""
        return tried == lesson.id

    def decide(self, lesson: Lesson, answer: float | None, sure: int) -> None:
        """The learner answered the bet that is asked, or skipped it (None)."""
        bet = self._steps.bet(lesson)
        if bet is None:
            return
        if answer is None:
            self._learner().skip(lesson, bet)
        else:
            self._learner().predict(lesson, bet, answer, sure, self._settings.of(lesson))

    def play(self, chosen: Mapping[str, Value]) -> None:
        """A move of the game: the answer comes like the results of any run."""
        self.session.start(FIND_THE_HOLE, self._game.move(chosen))

    def amend(self, lesson: Lesson) -> None:
        """Gives a run that still waits the settings of now."""
        self.session.amend(dict(self._settings.of(lesson)))

    def received(self, reply: Reply | Died, lesson: Lesson | None) -> Ended | None:
        """Folds the reply, which came while `lesson` was on the page. What the run came to, if that ended it."""
        was_active = self.session.run.active
        self.session.reply(reply)
        run, frame = self.session.run, self.session.frame
        if not was_active or run.active:
            return None
        revealed = self._game.after(run, frame)
        if lesson is None or run.phase != "done" or run.case is not None or run.lesson != lesson.id:
            return Ended(revealed=revealed)
        return Ended(self._learner().judge(lesson, self.measured(lesson) or {}, run.settings or {}, self.facts))

    def measured(self, lesson: Lesson) -> dict[str, Value] | None:
        """What the last run of the lesson measured; None if it was not run, or on a broken model."""
        run, frame = self.session.run, self.session.frame
        known = run.lesson == lesson.id and run.phase == "done" and run.case is None
        return dict(frame.measured) if known and frame is not None else None

    @property
    def facts(self) -> dict[str, object]:
        """What is known of the model, by name."""
        return self.session.model.facts if self.session.model is not None else {}
