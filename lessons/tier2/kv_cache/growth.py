"""What one more token costs behind more and more of the text, with the cache and without."""

from __future__ import annotations

from collections.abc import Sequence

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, series
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import timed
from llm_holes.engine.model.cache import ContiguousCache

SHARES = (2, 4, 8)
"""Into which parts the text is divided: a half, a quarter, an eighth."""
Point = tuple[int, float, float]
"""Tokens of context, milliseconds with the cache, milliseconds without."""


def shorter_contexts(engine: Engine, read: Sequence[int], cache: ContiguousCache) -> list[Point]:
    """Timed behind the first parts of `read`, which the cache holds; it forgets what is behind them."""
    points: list[Point] = []
    for length in sorted({len(read) // share for share in SHARES} - {0}, reverse=True):
        cache.truncate(length - 1)
        _, cached_ms = timed(last_logits, engine.model, read[length - 1 : length], cache)
        _, recomputed_ms = timed(last_logits, engine.model, read[:length], None)
        points.append((length, cached_ms, recomputed_ms))
    return points


def time_curve(points: Sequence[Point]) -> Curve:
    contexts, cached, recomputed = zip(*sorted(points), strict=True)
    return Curve(
        "time for one more token",
        (series("with the cache", contexts, cached), series("without", contexts, recomputed)),
        x_label="tokens in the context",
        y_label="ms",
    )
