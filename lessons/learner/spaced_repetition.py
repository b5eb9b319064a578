"""When a question comes back, and how well a learner's confidence fits. Pure functions over the events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.lessons.catalog.schema import Question
from llm_holes.lessons.learner.events import Answered, Event, Graded, Predicted

DAY = 86_400.0
SPACING = (1, 3, 7, 21)
"""Days until a question comes back, after the first answer and after each right one that was due."""

CONFIDENCES = (50, 60, 70, 80, 90, 100)


@dataclass(frozen=True, slots=True)
class Item:
    """A question in the queue. `step` counts the recalls so far; `due` is Unix time."""

    lesson: str
    question: str
    step: int
    answered: float
    due: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """The answers given with about this confidence: how many, and how many of them were right."""

    confidence: int
    n: int
    right: int

    @property
    def share(self) -> float | None:
        return self.right / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class Calibration:
    """`brier` is the mean squared distance of confidence and outcome: 0 is perfect, 0.25 a coin; None for no answer."""

    buckets: tuple[Bucket, ...]
    n: int
    right: int
    brier: float | None


def queue(events: Iterable[Event]) -> tuple[Item, ...]:
    """All questions that will come back, soonest first.

    A right answer before its time changes nothing; a wrong one, at any time, starts over. After the last step recalled
    the question leaves the queue, until it is missed again.
    """
    items: dict[tuple[str, str], Item] = {}
    for event in events:
        if isinstance(event, Answered) and event.right is not None:
            key = event.lesson, event.question
            items[key] = _after(items.get(key), event)
    waiting = (item for item in items.values() if item.step < len(SPACING))
    return tuple(sorted(waiting, key=lambda item: (item.due, item.lesson, item.question)))


def due(events: Iterable[Event], now: float, catalog: Catalog | None = None) -> tuple[Item, ...]:
    """The questions to ask now, the longest due first. With a catalog, only those its lessons still have."""
    # an answer from the future was dated by a clock that was wrong
    ready = [item for item in queue(events) if item.due <= now or item.answered > now]
    return tuple(item for item in ready if catalog is None or question_of(catalog, item) is not None)


def question_of(catalog: Catalog, item: Item) -> Question | None:
    """The question as the lesson asks it today; None if it is gone or was reworded."""
    lesson = catalog.lessons.get(item.lesson)
    quiz = lesson.data.quiz if lesson is not None else ()
    return next((question for question in quiz if question.question == item.question), None)


def calibration(events: Iterable[Event]) -> Calibration:
    """How often the learner was right, by stated confidence: graded predictions and answers that had one."""
    answers = list(_confident(tuple(events)))
    by_level = {level: [ok for near, _, ok in answers if near == level] for level in CONFIDENCES}
    buckets = tuple(Bucket(level, len(outcomes), sum(outcomes)) for level, outcomes in by_level.items())
    right = sum(ok for _, _, ok in answers)
    brier = sum((stated / 100 - ok) ** 2 for _, stated, ok in answers) / len(answers) if answers else None
    return Calibration(buckets, len(answers), right, brier)


def _after(item: Item | None, answer: Answered) -> Item:
    if item is None or not answer.right:
        step = 0
    elif answer.at < item.due:
        return item
    else:
        step = item.step + 1
    days = SPACING[min(step, len(SPACING) - 1)]
    return Item(answer.lesson, answer.question, step, answer.at, answer.at + days * DAY)


def _confident(events: tuple[Event, ...]) -> Iterable[tuple[int, int, bool]]:
    """For each graded answer: the bucket, the stated confidence, whether it was right."""
    predictions = {event.id: event for event in events if isinstance(event, Predicted)}
    graded = {event.prediction: event for event in events if isinstance(event, Graded)}
    for name, outcome in graded.items():
        if name in predictions:
            stated = predictions[name].confidence
            yield _bucket(stated), stated, outcome.right
    for event in events:
        if isinstance(event, Answered) and event.confidence is not None and event.right is not None:
            yield _bucket(event.confidence), event.confidence, event.right


def _bucket(confidence: int) -> int:
    return (confidence + 5) // 10 * 10
