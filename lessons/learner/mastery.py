"""How far a learner is with a lesson: a fold over the events. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.learner.events import Answered, Event, Graded, Hinted, Predicted, Ran, Read, Skipped

Status = Literal["unseen", "read", "run", "passed"]


@dataclass(frozen=True, slots=True)
class LessonState:
    """The learner and one lesson.

    Attributes:
        status: passed once every quiz question was answered right at least once, whether the lesson was run or not.
        pending: the prediction that was committed to and not graded yet; it holds after a crash too.
        outcomes: the graded predictions, oldest first, each with what came of it.
        skipped: the prediction was skipped the last time there was one to make.
        answers: the latest answer to each question, by the question's text.
        hints: how many hints were looked at, by the question's text.
    """

    status: Status = "unseen"
    pending: Predicted | None = None
    outcomes: tuple[tuple[Predicted, Graded], ...] = ()
    skipped: bool = False
    answers: dict[str, Answered] = field(default_factory=dict)
    right_once: frozenset[str] = frozenset()
    hints: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tier:
    tier: int
    lessons: int
    read: int
    run: int
    passed: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of lessons. A passed lesson counts as run and read, and one that was run as read."""

    tiers: tuple[Tier, ...]
    lessons: int
    read: int
    run: int
    passed: int


def standing(lesson: Lesson, events: Iterable[Event]) -> LessonState:
    """The state of one lesson after the events, which are in order."""
    mine = [event for event in events if event.lesson == lesson.id]
    answers = {event.question: event for event in mine if isinstance(event, Answered)}
    right_once = frozenset(event.question for event in mine if isinstance(event, Answered) and event.right)
    hints: dict[str, int] = {}
    for event in mine:
        if isinstance(event, Hinted):
            hints[event.question] = max(hints.get(event.question, 0), event.count)
    decided = [event for event in mine if isinstance(event, Predicted | Skipped)]
    return LessonState(
        _status(lesson, mine, right_once),
        _pending(mine),
        _outcomes(mine),
        bool(decided) and isinstance(decided[-1], Skipped),
        answers,
        right_once,
        hints,
    )


def statuses(catalog: Catalog, events: Iterable[Event]) -> dict[str, Status]:
    """The status of every lesson, for the tree."""
    by_lesson: dict[str, list[Event]] = {name: [] for name in catalog.lessons}
    for event in events:
        by_lesson.setdefault(event.lesson, []).append(event)
    return {
        lesson.id: _status(
            lesson,
            by_lesson[lesson.id],
            frozenset(event.question for event in by_lesson[lesson.id] if isinstance(event, Answered) and event.right),
        )
        for lesson in catalog.lessons.values()
    }


def totals(catalog: Catalog, events: Iterable[Event]) -> Totals:
    found, lessons = statuses(catalog, events), catalog.lessons.values()
    tiers = tuple(
        Tier(tier, *_counts([found[lesson.id] for lesson in lessons if lesson.tier == tier]))
        for tier in sorted({lesson.tier for lesson in lessons})
    )
    return Totals(tiers, *_counts([found[lesson.id] for lesson in lessons]))


def _status(lesson: Lesson, mine: list[Event], right_once: frozenset[str]) -> Status:
    # a lesson's file is parsed for its questions: not for those nobody has answered
    if right_once and {question.question for question in lesson.data.quiz} <= right_once:
        return "passed"
    if any(isinstance(event, Ran) for event in mine):
        return "run"
    # whoever predicts or answers has had the lesson in front of them
    return "read" if any(isinstance(event, Read | Predicted | Answered) for event in mine) else "unseen"


def _pending(mine: list[Event]) -> Predicted | None:
    graded = {event.prediction for event in mine if isinstance(event, Graded)}
    last = next((event for event in reversed(mine) if isinstance(event, Predicted | Skipped)), None)
    return last if isinstance(last, Predicted) and last.id not in graded else None


def _outcomes(mine: list[Event]) -> tuple[tuple[Predicted, Graded], ...]:
    made = {event.id: event for event in mine if isinstance(event, Predicted)}
    graded = {e.prediction: e for e in mine if isinstance(e, Graded) and e.prediction in made}
    return tuple((made[name], outcome) for name, outcome in graded.items())


def _counts(found: list[Status]) -> tuple[int, int, int, int]:
    passed, run, read = (found.count(status) for status in ("passed", "run", "read"))
    return len(found), passed + run + read, passed + run, passed
