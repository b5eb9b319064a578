"""What the learner did and what follows from it: no widgets. It is imported after the first paint."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from llm_holes.engine.frames import Value
from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.catalog.schema import Bet, Question
from llm_holes.lessons.learner.events import (
    Event,
    Graded,
    Predicted,
    Ran,
    Read,
    Record,
    Resume,
    Skipped,
    merged,
    repeats,
)
from llm_holes.lessons.learner.grading import Measured, Outcome, grade
from llm_holes.lessons.learner.mastery import LessonState, Status, standing, statuses
from llm_holes.lessons.learner.progress import Progress
from llm_holes.lessons.learner.spaced_repetition import due, question_of


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of the prediction of the bet that `bet` decides."""

    bet: str
    outcome: Outcome


class Learner:
    """The events of one learner: known at once, and on disk once `save` was called, from any thread.

    A skipped bet counts until the lesson is left.
    """

    def __init__(self) -> None:
        self.now = time.time
        self._events: tuple[Event, ...] = ()
        self._unsaved: list[Event] = []
        self._changing, self._saving = threading.Lock(), threading.Lock()
        self._progress: Progress | None = None
        self._skipping: set[tuple[str, str]] = set()
        """The bets that were skipped since their lesson was opened, each with its lesson."""

    def open(self, folder: Path | None = None) -> None:
        """Reads what earlier sessions left. Blocks on the disk, so it belongs into a thread."""
        with self._saving:
            self._opened(folder)

    def _opened(self, folder: Path | None = None) -> Progress:
        if self._progress is None:
            progress = Progress.open(folder, self.now)
            with self._changing:
                self._unsaved = [event for event in self._unsaved if not repeats(event, progress.events)]
                self._events = merged(Record(events=progress.events), Record(events=tuple(self._unsaved))).events
                self._progress = progress
        return self._progress

    def save(self, point: Resume | None = None) -> None:
        """Writes what is new, and where the learner is. Blocks on the disk."""
        with self._saving:
            progress = self._opened()
            with self._changing:
                unsaved, self._unsaved = self._unsaved, []
            for event in unsaved:
                progress.record(event)
            if point is not None:
                progress.leave_at(point)

    def take_notice(self) -> str:
        """What the learner must be told about the files, told once."""
        return self._progress.take_notice() if self._progress is not None else ""

    @property
    def resume(self) -> Resume | None:
        return self._progress.resume if self._progress is not None else None

    @property
    def events(self) -> tuple[Event, ...]:
        """Oldest first."""
        return self._events

    def record(self, event: Event) -> None:
        """That a lesson was read or run is recorded once."""
        if repeats(event, self._events):
            return
        event = structs.replace(event, at=self.now())
        with self._changing:
            self._events = (*self._events, event)
            self._unsaved.append(event)

    def statuses(self, catalog: Catalog) -> dict[str, Status]:
        """Of the lessons the learner did something in."""
        return {name: status for name, status in statuses(catalog, self._events).items() if status != "unseen"}

    def due(self, catalog: Catalog) -> list[tuple[Lesson, Question]]:
        """The questions to ask again now, the longest due first."""
        asked = [(catalog[item.lesson], question_of(catalog, item)) for item in due(self._events, self.now(), catalog)]
        return [(lesson, question) for lesson, question in asked if question is not None]

    def state(self, lesson: Lesson) -> LessonState:
        return standing(lesson, self.events)

    def visit(self, lesson: Lesson) -> None:
        """Another lesson is on the page."""
        self._skipping = set()
        self.record(Read(lesson=lesson.id))

    def undecided(self, lesson: Lesson, bet: Bet) -> bool:
        """Whether the bet was neither answered nor skipped."""
        state = self.state(lesson)
        if (lesson.id, bet.measurement) in self._skipping:
            return False
        return bet.measurement not in state.pending and state.outcome(bet.measurement) is None

    def skip(self, lesson: Lesson, bet: Bet) -> None:
        self._skipping.add((lesson.id, bet.measurement))
        self.record(Skipped(lesson=lesson.id, bet=bet.measurement))

    def predict(self, lesson: Lesson, bet: Bet, answer: float, sure: int, settings: Mapping[str, Value]) -> None:
        said = bet.options[int(answer)].text if bet.options else f"{answer:g}"
        self.record(
            Predicted(
                lesson=lesson.id,
                bet=bet.measurement,
                answer=answer,
                said=said,
                confidence=sure,
                settings=dict(settings),
            )
        )

    def judge(
        self, lesson: Lesson, measured: Measured, settings: Mapping[str, Value], model: Mapping[str, object]
    ) -> Judged | None:
        """The lesson was run: grades the prediction that was made for a run with these settings; None if none was."""
        self.record(Ran(lesson=lesson.id))
        pending = self.state(lesson).pending
        for bet in lesson.data.bets:
            predicted = pending.get(bet.measurement)
            if predicted is not None and predicted.settings == dict(settings):
                outcome = grade(bet, predicted.answer, measured, model)
                if outcome.right is not None:
                    self.record(Graded(lesson=lesson.id, prediction=predicted.id, was=outcome.was, right=outcome.right))
                return Judged(bet.measurement, outcome)
        return None

    def judged(self, lesson: Lesson, bet: Bet) -> Judged | None:
        """What came of the bet when it was graded, as far as the record tells."""
        found = self.state(lesson).outcome(bet.measurement)
        if found is None:
            return None
        predicted, graded = found
        return Judged(bet.measurement, Outcome(graded.right, predicted.said, graded.was, ""))
