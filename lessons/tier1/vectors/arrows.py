"""Two arrows on a plane, typed by the learner and turned: what vectors are, small enough to draw."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.frames import Arrow, Dots, Plane
from llm_holes.engine.numbers import exact
from llm_holes.lessons.shared.typed import listed
from llm_holes.lessons.shared.words import cosine

STEP = 5.0
"""Degrees between two points of the way that a tip was turned."""


def turned(arrow: Tensor, degrees: float) -> Tensor:
    """The arrow [2], turned to the left."""
    if degrees == 0:
        return arrow
    way = math.radians(degrees)
    matrix = ((math.cos(way), -math.sin(way)), (math.sin(way), math.cos(way)))
    return torch.tensor(matrix, dtype=arrow.dtype) @ arrow


def measured_arrows(a: Tensor, b: Tensor) -> dict[str, Any]:
    similarity = cosine(a, b)
    return {
        "toy_cosine": similarity,
        "toy_angle": math.degrees(math.acos(min(max(similarity, -1.0), 1.0))),
        "toy_has_angle": bool(a.norm() > 0 and b.norm() > 0),
        "toy_length_a": float(a.norm()),
        "toy_length_b": float(b.norm()),
    }


def on_a_plane(a: Tensor, b: Tensor, degrees: float) -> Plane:
    """The first arrow, the second turned by so many degrees, the angle between them, and the way it was turned."""
    arrows = tuple(Arrow(listed(v), *v.tolist()) for v in (a, turned(b, degrees)))
    way = (_way(b, degrees),) if degrees and b.any() else ()
    return Plane("two lists of two numbers", arrows, angle=(0, 1), dots=way)


def _way(b: Tensor, degrees: float) -> Dots:
    steps = max(round(abs(degrees) / STEP), 1)
    points = [turned(b, degrees * n / steps).tolist() for n in range(steps + 1)]
    name = f"B was turned by {exact(degrees)}°"
    return Dots(name, tuple(x for x, _ in points), tuple(y for _, y in points), joined=True)
