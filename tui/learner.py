"""What the learner did and what follows from it: no widgets. It is imported after the first paint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llm_holes.engine.frames import Value
from llm_holes.lessons.catalog import Lesson
from llm_holes.lessons.events import Event, Graded, Predicted, Skipped
from llm_holes.lessons.grading import Measured, Outcome, grade
from llm_holes.lessons.schema import Predict
from llm_holes.lessons.standing import LessonState, standing


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a prediction; `changed`: the settings were changed between the answer and the run."""

    outcome: Outcome
    changed: bool


class Learner:
    """The events of one learner. A skipped question counts until the lesson is left."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._skipping: str = ""

    @property
    def events(self) -> tuple[Event, ...]:
        """Oldest first."""
        return tuple(self._events)

    def record(self, event: Event) -> None:
        self._events.append(event)

    def state(self, lesson: Lesson) -> LessonState:
        return standing(lesson, self.events)

    def visit(self) -> None:
        """Another lesson is on the page."""
        self._skipping = ""

    def question(self, lesson: Lesson) -> Predict | None:
        """What has to be answered or skipped before the lesson runs."""
        if lesson.front is None or self._skipping == lesson.id:
            return None
        state = self.state(lesson)
        return None if state.pending or state.outcomes else lesson.front.predict

    def skip(self, lesson: Lesson) -> None:
        self._skipping = lesson.id
        self.record(Skipped(lesson=lesson.id))

    def predict(self, lesson: Lesson, answer: float, sure: int, settings: Mapping[str, Value]) -> None:
        assert lesson.front is not None
        options = lesson.front.predict.options
        said = options[int(answer)].text if options else f"{answer:g}"
        self.record(Predicted(lesson=lesson.id, answer=answer, said=said, confidence=sure, settings=dict(settings)))

    def judge(
        self, lesson: Lesson, measured: Measured, settings: Mapping[str, Value], model: Mapping[str, object]
    ) -> Judged | None:
        """Grades the prediction that waits for this run; None if none does."""
        predicted = self.state(lesson).pending
        if predicted is None or lesson.front is None:
            return None
        outcome = grade(lesson.front.predict, predicted.answer, measured, model)
        if outcome.right is not None:
            self.record(Graded(lesson=lesson.id, prediction=predicted.id, was=outcome.was, right=outcome.right))
        changed = any(settings.get(name, value) != value for name, value in predicted.settings.items())
        return Judged(outcome, changed)
