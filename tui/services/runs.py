"""What happens to a wish to run, in this order: the game's case, the bet, the session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.client import Died
from llm_holes.engine.ipc.messages import Reply
from llm_holes.engine.ipc.session import Session
from llm_holes.lessons.game.rules import FIND_THE_HOLE
from llm_holes.tui.services.game import Game
from llm_holes.tui.services.settings import Settings

if TYPE_CHECKING:
    from llm_holes.lessons.catalog.catalog import Lesson
    from llm_holes.lessons.catalog.schema import Predict
    from llm_holes.lessons.learner.learner import Judged, Learner


@dataclass(frozen=True, slots=True)
class Ended:
    """What the end of a run came to: `judged` is what became of the prediction, `revealed` ends a case of the game."""

    judged: Judged | None = None
    revealed: bool = False


class Runs:
    """No run begins before its question is answered or skipped, and none on a broken model is graded."""

    def __init__(self, session: Session, settings: Settings, game: Game, learner: Callable[[], Learner]) -> None:
        self.session = session
        self._settings, self._game, self._learner = settings, game, learner
        self._tried = ""
        """The lesson that was to run when there was no model, and whose bet is asked for once there is one."""

    def unanswered(self, lesson: Lesson) -> Predict | None:
        """The question of this lesson that was neither answered nor skipped; on a broken model nothing is asked."""
        return None if self._game.case is not None else self._learner().question(lesson)

    def question(self, lesson: Lesson) -> Predict | None:
        """The bet that must come before this lesson runs. Without a model to run on nobody is asked for one."""
        return None if self.session.engine.phase == "unavailable" else self.unanswered(lesson)

    def request(self, lesson: Lesson) -> Predict | None:
        """Runs the lesson, or gives the bet that must come first; with a model that did not load, loads it again."""
        self._tried = ""
        question = self.question(lesson)
        if question is None and self.unanswered(lesson) is not None:
            self.session.again()
            self._tried = lesson.id
        elif question is None:
            self.session.start(lesson.id, dict(self._settings.of(lesson)), self._game.case)
        return question

    def waits(self, lesson: Lesson) -> bool:
        """Whether this lesson was to run before there was a model; says so once."""
        tried, self._tried = self._tried, ""
        return tried == lesson.id

    def decide(self, lesson: Lesson, answer: float | None, sure: int) -> None:
        """The learner bet, or skipped the question (None)."""
        if answer is None:
            self._learner().skip(lesson)
        else:
            self._learner().predict(lesson, answer, sure, self._settings.of(lesson))

    def reveal(self, guess: Mapping[str, Value]) -> None:
        """Asks the engine what was broken; the answer comes like the results of any run."""
        self.session.start(FIND_THE_HOLE, self._game.reveal(guess))

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
        return structs.asdict(self.session.model) if self.session.model is not None else {}
