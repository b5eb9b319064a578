"""At which angles random directions stand to each other, in spaces of few and of many dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

from llm_holes.engine.frames import Curve, series

WIDTHS = (2, 16)
SHOWN = 1000
"""Of so many directions the angles of all pairs are counted."""
DEGREES = 3


def how_crowded(own: int, vectors: int, seed: int) -> Curve:
    """Of the pairs of random directions, the share at each angle: in the plane, in 16 dimensions, in the model's."""
    lines = []
    for d in dict.fromkeys((*WIDTHS, own)):
        angles = pair_angles(d, min(vectors, SHOWN), seed)
        counts = angles.histc(180 // DEGREES, 0, 180)
        middles = [DEGREES * (n + 0.5) for n in range(len(counts))]
        lines.append(series(f"{d:,} dimensions", middles, (counts / counts.sum()).tolist()))
    title = f"pairs of random directions by their angle, {DEGREES} degrees a step"
    return Curve(title, tuple(lines), "angle, in degrees", "share", y_range=(0, 0.5), x_range=(0, 180))


def pair_angles(dimensions: int, vectors: int, seed: int) -> Tensor:
    """The angles in degrees of all pairs of so many random directions, [pairs]."""
    x = torch.randn(vectors, dimensions, generator=torch.Generator().manual_seed(seed))
    x = torch.nn.functional.normalize(x, dim=-1)
    first, second = torch.triu_indices(vectors, vectors, 1)
    return (x @ x.T)[first, second].clamp(-1, 1).acos().rad2deg()
