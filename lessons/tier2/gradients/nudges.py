"""The slope of the loss checked without calculus: a matrix is nudged to both sides along its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Mark, series
from llm_holes.engine.interpret.gradients import Gradients, finite_difference, norm, nudged
from llm_holes.engine.interpret.weight_map import full_name

CHECKED = "mlp.down_proj"
CHANGE, NUDGES = 0.005, (0.003, 0.1)
"""A nudge should move the loss by this many nats: less drowns in fp32's rounding, more leaves the straight part."""
WIDE = 8
"""The picture goes so many nudges to each side, for the eye to see where the ground leaves the line."""


def nudge(slope: float) -> float:
    """How far to move a weight whose loss has that slope."""
    smallest, largest = NUDGES
    return min(max(CHANGE / abs(slope), smallest), largest) if slope else largest


def checked(engine: Engine, ids: Sequence[int], found: Gradients, layer: int) -> tuple[dict[str, Any], Curve]:
    """How far the backward pass and the nudges are apart, for one matrix and for one weight; the losses."""
    name = full_name(CHECKED, layer)
    g = found.by_name[name]
    length, largest = norm([g]), int(g.abs().argmax())
    steepest, one = float(g.view(-1)[largest]), torch.zeros_like(g)
    one.view(-1)[largest] = 1
    direction, step = g / (length or 1), nudge(length)
    places = [step * n for n in (-WIDE, -WIDE / 2, -1, 0, 1, WIDE / 2, WIDE)]
    losses = [nudged(engine.model, ids, name, direction, by) for by in places]
    slope = (losses[4] - losses[2]) / (2 * step)
    alone = finite_difference(engine.model, ids, name, one, nudge(steepest))
    measured = {
        "finite_difference_rel_error": abs(slope - length) / (length or 1),
        "one_weight_rel_error": abs(alone - steepest) / (abs(steepest) or 1),
    }
    ends = (places[0], places[-1])
    lines = (
        series("by nudging", places, losses),
        series("slope of the backward pass", ends, [found.loss + length * by for by in ends]),
    )
    return measured, Curve(
        f"loss, by how far {CHECKED} of layer {layer} is nudged along its gradient",
        lines,
        y_label="loss",
        marks=(Mark("you", 0.0, found.loss),),
    )
