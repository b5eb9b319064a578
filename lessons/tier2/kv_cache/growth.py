"""What one more token costs behind more and more of the text, with the cache and without."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, series
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.lessons.shared.in_turn import in_turn

SHARES = (2, 4, 8)
"""Into which parts the text is divided: a half, a quarter, an eighth."""
SEVERAL, MANY = 3, 128
"""How often a length is timed; one of many tokens takes long and is timed once."""
Point = tuple[int, float, float]
"""Tokens of context, milliseconds with the cache, milliseconds without: the fastest of a few each."""


def shorter_contexts(engine: Engine, read: Sequence[int], cache: ContiguousCache) -> list[Point]:
    """Timed behind the first parts of `read`, which the cache holds; it forgets what is behind them."""
    lengths = sorted({len(read) // share for share in SHARES} - {0}, reverse=True)
    return [_point(engine, list(read[:length]), cache) for length in lengths]


def _point(engine: Engine, text: list[int], cache: ContiguousCache) -> Point:
    works = {True: _kept(engine, text, cache), False: _again(engine, text)}
    *_, times = in_turn(works, lambda kept: SEVERAL if kept or len(text) < MANY else 1)
    return len(text), times[True].fastest, times[False].fastest


def _kept(engine: Engine, text: list[int], cache: ContiguousCache) -> Callable[[], None]:
    def work() -> None:
        cache.truncate(len(text) - 1)
        last_logits(engine.model, text[-1:], cache)

    return work


def _again(engine: Engine, text: list[int]) -> Callable[[], None]:
    def work() -> None:
        last_logits(engine.model, text, None)

    return work


def time_curve(points: Sequence[Point]) -> Curve:
    contexts, cached, recomputed = zip(*sorted(points), strict=True)
    return Curve(
        "time for one more token",
        (series("with the cache", contexts, cached), series("without", contexts, recomputed)),
        x_label="tokens in the context",
        y_label="ms",
    )
