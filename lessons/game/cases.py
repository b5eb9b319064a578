"""Cases of Find the hole, open and ended: a fold over the events. Pure functions, no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llm_holes.engine.ipc.messages import Case
from llm_holes.lessons.learner.events import Began, Event, Named, Probed


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A case that is not named yet, and the probes so far, oldest first: lesson and what its caption said."""

    case: Case
    probes: tuple[tuple[str, str], ...] = ()


def open_case(events: Iterable[Event]) -> OpenCase | None:
    """The case the learner is at."""
    found: OpenCase | None = None
    for event in events:
        match event:
            case Began():
                found = OpenCase(Case(event.seed, event.difficulty))
            case Probed() if found is not None:
                found = OpenCase(found.case, (*found.probes, (event.probe, event.saw)))
            case Named():
                found = None
    return found


def best_scores(events: Iterable[Event]) -> dict[int, int]:
    """The best score by difficulty. Only the first naming of a case counts: after it the answer is known."""
    best: dict[int, int] = {}
    named: set[Case] = set()
    case = Case(0, 0)
    for event in events:
        if isinstance(event, Began):
            case = Case(event.seed, event.difficulty)
        elif isinstance(event, Named) and case not in named:
            named.add(case)
            best[case.difficulty] = max(best.get(case.difficulty, 0), event.score)
    return best
