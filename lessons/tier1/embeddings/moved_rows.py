"""What the model says while one row of its table is moved onto another, or two of them change places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Curve, series
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.vectors import RowMixed, RowsSwapped
from llm_holes.lessons.shared.words import best, labels

SHARES = (0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0)
"""At which shares of the way the model is asked: most of them where it may tip."""
CANDIDATES = 5
BEGUN, OVER = 0.9, 0.1
"""A fall is under way from nine tenths of its height down to one tenth."""
FALL = 0.1
"""What falls by less than this share of itself hardly falls."""
SWITCH, LINE = 0.3, 0.6
"""A fall within less of the way is a switch; one that takes more is a line: an even one would take 80 %."""

Shape = Literal["switch", "curve", "line", "uneven", "none"]


@dataclass(frozen=True, slots=True)
class Way:
    """How likely the answer of the start and that of the end are at each of `SHARES`."""

    first: int
    last: int
    p_first: tuple[float, ...]
    p_last: tuple[float, ...]

    @classmethod
    def walked(cls, engine: Engine, ids: Sequence[int], a: int, b: int) -> Way:
        """Row `a` is moved to row `b`, a step at a time."""
        steps = [next_chances(engine.operated([RowMixed(a, b, share)]), ids) for share in SHARES]
        first, last = int(steps[0].argmax()), int(steps[-1].argmax())
        return cls(first, last, tuple(float(p[first]) for p in steps), tuple(float(p[last]) for p in steps))

    @property
    def falls(self) -> bool:
        """Whether the first answer is clearly less likely at the end, by more than rounding."""
        return self.p_first[0] - self.p_first[-1] > max(FALL * self.p_first[0], 1e-4)

    @property
    def uneven(self) -> bool:
        """Whether it is ever far above where the fall begins, or far below where it ends."""
        margin = OVER * (self.p_first[0] - self.p_first[-1])
        return max(self.p_first) > self.p_first[0] + margin or min(self.p_first) < self.p_first[-1] - margin

    @property
    def tipping_share(self) -> float:
        """Which share of the way the fall takes, from nine tenths of its height to one tenth; 1 if there is none or an
        uneven one."""
        if not self.falls or self.uneven:
            return 1.0
        low, height = self.p_first[-1], self.p_first[0] - self.p_first[-1]
        return _crossing(self.p_first, low + OVER * height) - _crossing(self.p_first, low + BEGUN * height)

    @property
    def shape(self) -> Shape:
        if not self.falls:
            return "none"
        if self.uneven:
            return "uneven"
        return "switch" if self.tipping_share < SWITCH else "line" if self.tipping_share >= LINE else "curve"


def _crossing(p: Sequence[float], level: float) -> float:
    """The share of the way at which `p` comes down to `level` for good, between two that were measured."""
    n = max(i for i, (before, after) in enumerate(pairwise(p)) if before >= level > after)
    part = (p[n] - level) / (p[n] - p[n + 1])
    return SHARES[n] + part * (SHARES[n + 1] - SHARES[n])


def next_chances(engine: Engine, ids: Sequence[int]) -> Tensor:
    """How likely each token [d_vocab] is to come next."""
    return engine.logits(ids, 1)[-1].softmax(-1)


def way_picture(engine: Engine, way: Way, a: int, b: int) -> Curve:
    ends = dict.fromkeys(((way.first, way.p_first), (way.last, way.p_last)))
    lines = tuple(series(spelt(engine.token_text(i)), [100 * share for share in SHARES], p) for i, p in ends)
    start, end = (spelt(name) for name in labels(engine, (a, b)))
    title = f"what comes next while {start} becomes {end}"
    return Curve(title, lines, "% of the way", "probability", y_range=(0, 1))


@dataclass(frozen=True, slots=True)
class Changed:
    """The chances of the next token [d_vocab] before and after rows `a` and `b` were touched."""

    before: Tensor
    after: Tensor
    undone: bool
    title: str

    @classmethod
    def of(cls, engine: Engine, ids: Sequence[int], a: int, b: int, share: float | None) -> Changed:
        """Row `a` moved by `share` towards row `b`, or the two swapped (`share` None)."""
        start, end = (spelt(name) for name in labels(engine, (a, b)))
        swapped = share is None
        operation = RowsSwapped(a, b) if share is None else RowMixed(a, b, share)
        before = engine.logits(ids, 1)[-1]
        after = next_chances(engine.operated([operation]), ids)
        undone = torch.equal(engine.logits(ids, 1)[-1], before)
        how = f"rows of {start} and {end} swapped" if swapped else f"{start} moved {percent(share or 0)} to {end}"
        return cls(before.softmax(-1), after, undone, f"next token: {how}")


def before_and_after(engine: Engine, changed: Changed) -> Bars:
    """The likeliest tokens of both, two bars each."""
    shown = list(dict.fromkeys([*best(changed.before, CANDIDATES), *best(changed.after, CANDIDATES)]))
    names, values = [], []
    for token in shown:
        names += [f"{spelt(engine.token_text(token))} before", "after"]
        values += [float(changed.before[token]), float(changed.after[token])]
    return Bars(changed.title, tuple(names), tuple(values), "probability", range=(0, 1))
