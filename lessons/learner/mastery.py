"""How far a learner is with a lesson: a fold over the events. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from msgspec import structs

from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.learner.events import Answered, Event, Graded, Hinted, Predicted, Ran, Read, Skipped

Status = Literal["unseen", "read", "run", "passed"]


@dataclass(frozen=True, slots=True)
class LessonState:
    """The learner and one lesson.

    Attributes:
        status: passed once every quiz question was answered right at least once, whether the lesson was run or not.
        pending: the predictions that were committed to and not graded yet, by their bet; they hold after a crash too.
        outcomes: the graded predictions, oldest first, each with what came of it.
        skipped: the bets that were skipped the last time they were asked for.
        answers: the latest answer to each question, by the question's text.
        hints: how many hints were looked at, by the question's text.
    """

    status: Status = "unseen"
    pending: dict[str, Predicted] = field(default_factory=dict)
    outcomes: tuple[tuple[Predicted, Graded], ...] = ()
    skipped: frozenset[str] = frozenset()
    answers: dict[str, Answered] = field(default_factory=dict)
    right_once: frozenset[str] = frozenset()
    hints: dict[str, int] = field(default_factory=dict)

    def outcome(self, bet: str) -> tuple[Predicted, Graded] | None:
        """The latest graded prediction of a bet."""
        return next((pair for pair in reversed(self.outcomes) if pair[0].bet == bet), None)


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
    mine = [_named(lesson, event) for event in events if event.lesson == lesson.id]
    answers = {event.question: event for event in mine if isinstance(event, Answered)}
    right_once = frozenset(event.question for event in mine if isinstance(event, Answered) and event.right)
    hints: dict[str, int] = {}
    for event in mine:
        if isinstance(event, Hinted):
            hints[event.question] = max(hints.get(event.question, 0), event.count)
    decided = {event.bet: event for event in mine if isinstance(event, Predicted | Skipped)}
    return LessonState(
        _status(lesson, mine, right_once),
        _pending(mine, decided.values()),
        _outcomes(mine),
        frozenset(bet for bet, event in decided.items() if isinstance(event, Skipped)),
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


def _named(lesson: Lesson, event: Event) -> Event:
    """Of older records, where a lesson had one bet, the event with that bet's name."""
    if isinstance(event, Predicted | Skipped) and not event.bet and lesson.data.bets:
        return structs.replace(event, bet=lesson.data.bets[0].measurement)
    return event


def _pending(mine: list[Event], decided: Iterable[Predicted | Skipped]) -> dict[str, Predicted]:
    graded = {event.prediction for event in mine if isinstance(event, Graded)}
    return {event.bet: event for event in decided if isinstance(event, Predicted) and event.id not in graded}


def _outcomes(mine: list[Event]) -> tuple[tuple[Predicted, Graded], ...]:
    made = {event.id: event for event in mine if isinstance(event, Predicted)}
    graded = {e.prediction: e for e in mine if isinstance(e, Graded) and e.prediction in made}
    return tuple((made[name], outcome) for name, outcome in graded.items())


def _counts(found: list[Status]) -> tuple[int, int, int, int]:
    passed, run, read = (found.count(status) for status in ("passed", "run", "read"))
    return len(found), passed + run + read, passed + run, passed
