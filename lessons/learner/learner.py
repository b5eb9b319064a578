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
from llm_holes.lessons.catalog.schema import Predict, Question
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
from llm_holes.lessons.learner.mastery import LessonState, Status, standing
from llm_holes.lessons.learner.progress import Progress
from llm_holes.lessons.learner.spaced_repetition import due, question_of


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a prediction; `changed`: the settings were changed between the answer and the run."""

    outcome: Outcome
    changed: bool


class Learner:
    """The events of one learner: known at once, and on disk once `save` was called, from any thread.

    A skipped question counts until the lesson is left.
    """

    def __init__(self) -> None:
        self.now = time.time
        self._events: tuple[Event, ...] = ()
        self._unsaved: list[Event] = []
        self._changing, self._saving = threading.Lock(), threading.Lock()
        self._progress: Progress | None = None
        self._skipping = ""

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
        touched = {event.lesson for event in self._events} & catalog.lessons.keys()
        return {name: self.state(catalog[name]).status for name in touched}

    def due(self, catalog: Catalog) -> list[tuple[Lesson, Question]]:
        """The questions to ask again now, the longest due first."""
        asked = [(catalog[item.lesson], question_of(catalog, item)) for item in due(self._events, self.now(), catalog)]
        return [(lesson, question) for lesson, question in asked if question is not None]

    def state(self, lesson: Lesson) -> LessonState:
        return standing(lesson, self.events)

    def visit(self, lesson: Lesson) -> None:
        """Another lesson is on the page."""
        self._skipping = ""
        self.record(Read(lesson=lesson.id))

    def question(self, lesson: Lesson) -> Predict | None:
        """What has to be answered or skipped before the lesson runs."""
        if self._skipping == lesson.id:
            return None
        state = self.state(lesson)
        return None if state.pending or state.outcomes else lesson.data.predict

    def skip(self, lesson: Lesson) -> None:
        self._skipping = lesson.id
        self.record(Skipped(lesson=lesson.id))

    def predict(self, lesson: Lesson, answer: float, sure: int, settings: Mapping[str, Value]) -> None:
        options = lesson.data.predict.options
        said = options[int(answer)].text if options else f"{answer:g}"
        self.record(Predicted(lesson=lesson.id, answer=answer, said=said, confidence=sure, settings=dict(settings)))

    def judge(
        self, lesson: Lesson, measured: Measured, settings: Mapping[str, Value], model: Mapping[str, object]
    ) -> Judged | None:
        """The lesson was run: grades the prediction that waits for that; None if none does."""
        self.record(Ran(lesson=lesson.id))
        predicted = self.state(lesson).pending
        if predicted is None:
            return None
        outcome = grade(lesson.data.predict, predicted.answer, measured, model)
        if outcome.right is not None:
            self.record(Graded(lesson=lesson.id, prediction=predicted.id, was=outcome.was, right=outcome.right))
        changed = any(settings.get(name, value) != value for name, value in predicted.settings.items())
        return Judged(outcome, changed)
