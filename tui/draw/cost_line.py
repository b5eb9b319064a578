"""The cost of what a picture shows, in one line."""

from __future__ import annotations

from llm_holes.engine.frames import Cost
from llm_holes.engine.numbers import duration, figure, percent, size

NEITHER = "mostly overhead"
MANY = 1.5
"""From so many decode steps on, their number is easier to read than a share."""


def cost_line(cost: Cost, width: int) -> str:
    """`one token: 41 ms · 98 % of a decode step · 513 MiB · 0.5 FLOP/byte · bound by reading`; where that is too
    wide, with fewer words."""
    bound = NEITHER if cost.bound_by == "neither" else f"bound by {cost.bound_by}"
    line = ""
    for step, told in (("decode step", 2), ("step", 2), ("", 2), ("", 1)):
        parts = (duration(cost.ms), _beside(cost.steps, step) if step else "", *_traffic(cost)[:told], bound)
        line = f"{cost.what}: {' · '.join(part for part in parts if part)}"
        if len(line) <= width:
            break
    return line


def _beside(steps: float, step: str) -> str:
    return f"{percent(steps)} of a {step}" if steps < MANY else f"as long as {figure(steps)} {step}s"


def _traffic(cost: Cost) -> tuple[str, ...]:
    return (size(cost.nbytes), f"{figure(cost.flops / cost.nbytes)} FLOP/byte") if cost.nbytes else ()
