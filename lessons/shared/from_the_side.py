"""Long vectors in a picture: seen from the side of one of them, with true lengths and true angles to it."""

from __future__ import annotations

import torch
from torch import Tensor


def from_the_side(vectors: Tensor, axis: Tensor) -> tuple[Tensor, Tensor]:
    """How far each vector [n, d] goes along the axis [d], which is its shadow there, and how far away from it: [n] and
    [n]. The directions away from the axis, of which there are many, are drawn as one."""
    way = axis / axis.norm().clamp_min(1e-12)
    along = vectors @ way
    return along, (vectors - along[:, None] * way).norm(dim=-1)


def drawn(rows: int, count: int, seed: int = 1) -> Tensor:
    """The indices of some rows of a table, drawn at random but always the same."""
    return torch.randint(rows, (count,), generator=torch.Generator().manual_seed(seed))
