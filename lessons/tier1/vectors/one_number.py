"""What a single number of a vector says: one is changed, wiped out, or moved with all others to another place."""

from __future__ import annotations

import torch
from torch import Tensor

from llm_holes.engine.frames import Curve, Series
from llm_holes.engine.numbers import exact
from llm_holes.lessons.shared.words import cosine, cosines

POINTS = 81
LEAST_SPAN = 10.0
SEED = 0


def changed(vector: Tensor, dimension: int, value: float, scale: float) -> tuple[Tensor, int | None]:
    """The vector times `scale`, with one number set to `value` unless `dimension` is -1; and which one it was."""
    edited = vector * scale
    if dimension < 0:
        return edited, None
    dimension = min(dimension, len(edited) - 1)
    edited[dimension] = value
    return edited, dimension


def shuffled_cosine(a: Tensor, b: Tensor) -> float:
    """The cosine after the numbers of both vectors are put in the same random order."""
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(SEED))
    return cosine(a[order], b[order])


def zeroing_changes(a: Tensor, b: Tensor) -> float:
    """How far the cosine moves if one number of `a` is set to zero, for the number that moves it most."""
    without = (a @ b - a * b) / ((a @ a - a * a).clamp_min(1e-24).sqrt() * b.norm()).clamp_min(1e-12)
    return float((without - cosine(a, b)).abs().max())


def for_every_value(names: tuple[str, str], vector: Tensor, b: Tensor, edited: Tensor, dimension: int | None) -> Curve:
    """The edited vector's cosine with itself as it was and with the other, for every value of one number; an upright
    line stands at the value it has. Without a change it is the first number, as it is."""
    place = dimension or 0
    value = float(edited[place])
    span = max(LEAST_SPAN, 1.25 * abs(value))
    values = torch.linspace(-span, span, POINTS)
    rows = edited.repeat(POINTS, 1)
    rows[:, place] = values
    lines = [cosines(rows, other) for other in (vector, b)]
    series = (
        Series(f"with {names[0]} as it was", tuple(values.tolist()), tuple(lines[0].tolist())),
        Series(f"with {names[1]}", tuple(values.tolist()), tuple(lines[1].tolist())),
        Series(f"here: {exact(value)}", (value, value), (-1.0, 1.0)),
    )
    what = f"number {place} of {names[0]}"
    title = f"{what} takes every value" if dimension is not None else f"{what} would take every value"
    return Curve(title, series, f"value of {what}", "cosine", y_range=(-1.0, 1.0))
