"""Draws tokens from a distribution, and says how far their frequencies may be from it by chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.generation.sampling import generator

BATCHES = 4


def drawn(engine: Engine, p: Tensor, total: int, seed: int) -> Iterator[Tensor]:
    """How often each token has come up so far, a batch at a time."""
    counts, rng = torch.zeros_like(p), generator(seed)
    for batch in range(1, BATCHES + 1):
        if engine.model.is_cancelled():
            raise Cancelled
        counts = counts + draws(p, total * batch // BATCHES - int(counts.sum()), rng)
        if counts.any():
            yield counts


def against_chance(counts: Tensor, p: Tensor) -> dict[str, Any]:
    """What is published of the draws."""
    samples = int(counts.sum())
    return {
        "samples": samples,
        "different_tokens_drawn": int((counts > 0).sum()),
        "sampled_vs_expected_tv_distance": tv_distance(counts, p),
        "chance_tv_distance": chance_tv_distance(p, samples),
    }


def draws(p: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """How often each token [vocabulary] comes up in `count` draws."""
    if not count:
        return torch.zeros_like(p)
    return torch.multinomial(p, count, replacement=True, generator=rng).bincount(minlength=len(p)).float()


def tv_distance(counts: Tensor, p: Tensor) -> float:
    """Total variation: half the sum of all differences between frequencies and probabilities, 0 to 1."""
    return float((counts.double() / counts.sum() - p.double()).abs().sum() / 2)


def chance_tv_distance(p: Tensor, count: int) -> float:
    """The total variation `count` perfect draws have on average: half the sum of the mean deviations of the frequencies
    (De Moivre's formula for the binomial)."""
    p, n = p[p > 0].double(), float(count)
    m = (n * p).floor().clamp(max=n - 1) + 1
    ways = torch.lgamma(torch.tensor(n + 1)) - torch.lgamma(m + 1) - torch.lgamma(n - m + 1)
    rest = torch.log1p(-p.clamp(max=1 - 1e-15))
    return float((m * torch.exp(ways + m * p.log() + (n - m + 1) * rest)).sum() / n)
