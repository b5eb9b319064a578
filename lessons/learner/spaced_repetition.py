"""When a question comes back, and how well a learner's confidence fits. Pure functions over the events.

The dates are those of FSRS, the scheduler that Anki uses (Ye et al. 2022), made from right or wrong and confidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from fsrs import Card, Rating, Scheduler

from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.lessons.catalog.schema import Question
from llm_holes.lessons.learner.events import Answered, Event, Graded, Predicted

DAY = 86_400.0
SCHEDULER = Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False, maximum_interval=365)
"""Whole days, the same for the same answers. A question comes back when one in ten would be forgotten."""
GUESSED, CERTAIN = 60, 90
"""Confidence in percent up to which a right answer was hard, and from which it was easy."""
LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()

CONFIDENCES = (50, 60, 70, 80, 90, 100)


@dataclass(frozen=True, slots=True)
class Item:
    """A question in the queue: when it was answered and when it is due, in Unix time, and its `stability`, the days
    after which nine in ten would still be remembered."""

    lesson: str
    question: str
    answered: float
    due: float
    stability: float


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

    A right answer within a day of the one before it changes nothing; a wrong one counts at any time.
    """
    cards: dict[tuple[str, str], Card] = {}
    answered: dict[tuple[str, str], float] = {}
    for event in events:
        if isinstance(event, Answered) and event.right is not None:
            key = event.lesson, event.question
            if key in cards and event.right and event.at - answered[key] < DAY:
                continue
            card = cards.get(key) or Card(card_id=0)
            cards[key], _ = SCHEDULER.review_card(card, rating(event), _moment(event.at))
            answered[key] = event.at
    items = (Item(*key, answered[key], card.due.timestamp(), card.stability or 0.0) for key, card in cards.items())
    return tuple(sorted(items, key=lambda item: (item.due, item.lesson, item.question)))


def rating(answer: Answered) -> Rating:
    """What FSRS is told of an answer."""
    if not answer.right:
        return Rating.Again
    if answer.confidence is None:
        return Rating.Good
    if answer.confidence <= GUESSED:
        return Rating.Hard
    return Rating.Easy if answer.confidence >= CERTAIN else Rating.Good


def _moment(at: float) -> datetime:
    """A time as FSRS takes it; those of clocks that were very wrong are brought into the calendar."""
    return datetime.fromtimestamp(min(max(at, 0.0), LATEST), UTC)


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
