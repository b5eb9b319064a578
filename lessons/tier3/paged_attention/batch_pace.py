"""How many tokens a second a server writes that has so many requests in memory: passes for many texts, timed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Mark, Series, Stretch, TimelineRow
from llm_holes.engine.measure import Timing
from llm_holes.engine.numbers import figure
from llm_holes.lessons.shared.batches import filled, room_for, together
from llm_holes.lessons.shared.in_turn import in_turn
from llm_holes.lessons.shared.passage import passage_ids

MOST = 64
"""Texts in a pass that is timed, at most."""
SIXTEEN = 16
REPEATS = 5

Passes = Mapping[int, Timing]
"""One token for each of so many texts, in one pass."""


def passes(engine: Engine, most: Sequence[int], context: int) -> Iterator[Passes]:
    """Passes for one text and for many, with `context` tokens behind each, in turn: those found so far. `most` are
    numbers of texts to be among them."""
    sizes = sorted({1, *(min(n, MOST) for n in (*most, SIXTEEN) if 1 <= n <= max(most))})
    start = filled(engine, passage_ids(engine, SIXTEEN), room_for(engine, context, max(sizes)))
    yield from in_turn({size: together(engine, start, size) for size in sizes}, lambda size: REPEATS)


def ms_for(found: Passes, texts: int) -> float:
    """The fastest time of a pass for so many texts: between two that were timed on a straight line, beyond the largest
    in proportion."""
    if not texts:
        return 0.0
    below = max(n for n in found if n <= texts)
    above = min((n for n in found if n >= texts), default=0)
    if not above:
        return found[below].fastest * texts / below
    share = (texts - below) / (above - below) if above > below else 0.0
    return found[below].fastest * (1 - share) + found[above].fastest * share


def in_time(name: str, found: Passes, written: Sequence[int]) -> TimelineRow:
    """The steps of a server as a row of time: `written` are the tokens of each, neighbours with as many are joined."""
    stretches: list[Stretch] = []
    last = 0
    for texts in filter(None, written):
        ms = ms_for(found, texts)
        if stretches and texts == last:
            ms += stretches.pop().ms
        stretches.append(Stretch(f"{texts} at once", ms, name))
        last = texts
    return TimelineRow(name, tuple(stretches))


def total_ms(found: Passes, written: Sequence[int]) -> float:
    return sum(ms_for(found, texts) for texts in written)


def batch_curve(found: Passes, marked: Mapping[str, int]) -> Curve:
    """Tokens per second over the texts in a pass; `marked` are numbers of texts to point at."""
    xs = tuple(map(float, found))

    def pace(ms: Sequence[float]) -> tuple[float, ...]:
        return tuple(1e3 * x / y for x, y in zip(xs, ms, strict=True))

    fastest, median = (pace([getattr(t, which) for t in found.values()]) for which in ("fastest", "median"))
    marks = tuple(Mark(f"{name}: {n}", n, 1e3 * n / ms_for(found, n)) for name, n in marked.items() if n)
    title = (
        f"one pass for all: {figure(round(fastest[0]))} tokens a second for one, {figure(round(max(fastest)))} at most"
    )
    line = Series("measured, fastest to median", xs, fastest, median, fastest)
    return Curve(title, (line,), "texts in a pass", "tokens/s", y_range=(0.0, 0.0), marks=marks)
