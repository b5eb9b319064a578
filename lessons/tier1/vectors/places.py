"""Two lists of numbers place by place: where both have the same sign, and how often two random tokens agree so."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.frames import Dots, Plane
from llm_holes.engine.numbers import count

RANDOM_PAIRS = 2000
SEED = 0


def same_signs(a: Tensor, b: Tensor) -> int:
    """In how many places both numbers are above zero, or both below."""
    return int((a * b > 0).sum())


def all_same_signs(table: Tensor, vector: Tensor) -> Tensor:
    """The same count for each row of the table, [rows]."""
    counts: Tensor = (table > 0).float() @ (vector > 0).float() + (table < 0).float() @ (vector < 0).float()
    return counts


def place_by_place(names: tuple[str, str], a: Tensor, b: Tensor) -> Plane:
    """One dot for each place, as far across as the first list's number and as far up as the second's."""
    signs = (("same sign", a * b > 0), ("opposite signs", a * b < 0), ("one of them is 0", a * b == 0))
    dots = tuple(
        Dots(f"{name}: {count(int(which.sum()))}", tuple(a[which].tolist()), tuple(b[which].tolist()))
        for name, which in signs
        if which.any()
    )
    return Plane(f"{names[0]} (across) × {names[1]} (up), a dot for each place", (), dots=dots)


def random_pairs(table: Tensor, mean: Tensor) -> dict[str, Any]:
    """Cosine and places of the same sign of tokens drawn at random, as the rows [tokens, d_model] are and without their
    mean: averages over the pairs."""
    pairs = torch.randint(len(table), (2, RANDOM_PAIRS), generator=torch.Generator().manual_seed(SEED))
    a, b = table[pairs[0]], table[pairs[1]]
    cosines = torch.cosine_similarity(a, b)
    return {
        "random_pair_cosine": float(cosines.mean()),
        "random_pair_cosine_spread": float(cosines.std()),
        "random_pair_same_signs": _mean_agreement(a, b),
        "random_pair_same_signs_mean_removed": _mean_agreement(a - mean, b - mean),
    }


def _mean_agreement(a: Tensor, b: Tensor) -> float:
    return float((a * b > 0).sum(-1).float().mean())
