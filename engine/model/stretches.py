"""Work on many positions, some after the others, so that it can be stopped in between and says how far it is."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from llm_holes.engine.work import Work

STRETCH = 512


def in_stretches(work: Callable[[Tensor], Tensor], x: Tensor, reached: Callable[[Work], None]) -> Tensor:
    """`work` on x [..., in], each position for itself: [..., out]. Of many, `reached` is told before each stretch."""
    rows = x.reshape(-1, x.shape[-1])
    if len(rows) <= STRETCH:
        return work(x)
    made: Tensor | None = None
    for start in range(0, len(rows), STRETCH):
        reached(Work("position", start + 1, len(rows)))
        part = work(rows[start : start + STRETCH])
        # not joined at the end: for a moment that would take twice the memory
        made = part.new_empty(len(rows), part.shape[-1]) if made is None else made
        made[start : start + STRETCH] = part
    assert made is not None
    return made.view(*x.shape[:-1], -1)
