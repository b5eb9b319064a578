"""Matrices reduced to a few directions, as surgery, and how crowded a space of this many dimensions is.

Sources: Eckart & Young 1936 (the best matrix of a rank), Johnson & Lindenstrauss 1984 (many nearly orthogonal vectors).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import hooked, one_by_one, reweighted, weight
from llm_holes.engine.work import Work

EMBED, FINAL = "hook_embed", "ln_final.hook_normalized"


@dataclass(frozen=True)
class Directions:
    """A matrix's own directions in its smaller side, strongest first: `basis` [small, small] in columns, and the
    `energy` (squared length) the matrix has along each. `tall`: the smaller side is its columns."""

    basis: Tensor
    energy: Tensor
    tall: bool

    @classmethod
    def of(cls, w: Tensor) -> Directions:
        """From the Gram matrix of the smaller side, in fp64: much less work than an SVD of the whole, same result."""
        tall = w.shape[0] >= w.shape[1]
        gram = _gram(w if tall else w.T)
        energy, basis = torch.linalg.eigh(gram)
        return cls(basis.flip(-1).float(), energy.flip(-1).clamp(min=0).float(), tall)

    def projected(self, w: Tensor, rank: int) -> Tensor:
        """The best matrix of this rank: `w` in its `rank` strongest directions."""
        if rank >= self.basis.shape[1]:
            return w
        kept = self.basis[:, :rank]
        return (w @ kept) @ kept.T if self.tall else kept @ (kept.T @ w)

    def kept(self, rank: int) -> float:
        """The share of the energy in the `rank` strongest directions."""
        return float(self.energy[:rank].double().sum() / self.energy.double().sum().clamp_min(1e-300))


def _gram(tall: Tensor) -> Tensor:
    """tallᵀ · tall [columns, columns] in fp64, some rows at a time."""
    total = torch.zeros(tall.shape[1], tall.shape[1], dtype=torch.float64)
    for rows in torch.split(tall, 4096):
        total += rows.double().T @ rows.double()
    return total


def directions(model: Decoder, names: Sequence[str]) -> dict[str, Directions]:
    """Of each of these matrices. Raises Cancelled between two of them."""
    found: dict[str, Directions] = {}
    for number, name in enumerate(names, 1):
        model.reached(Work("matrix", number, len(names)))
        found[name] = Directions.of(weight(model, name))
    return found


@dataclass(frozen=True, eq=False)
class LowRank:
    """Keeps the `rank` strongest of these directions of each matrix; the matrices keep their sizes."""

    rank: int
    found: dict[str, Directions]

    def apply(self, model: Decoder) -> Decoder:
        changed: dict[str, Tensor] = {}
        for name in one_by_one(model, list(self.found)):
            changed[name] = self.found[name].projected(weight(model, name), self.rank)
        return reweighted(model, changed)


@dataclass(frozen=True, eq=False)
class ThinTables:
    """The same as `LowRank` for the embedding and output tables, to rounding: a row that is read, and a vector that is
    compared with all rows, keep only the strongest directions. No table is multiplied, so it costs next to nothing."""

    rank: int
    found: dict[str, Directions]

    def apply(self, model: Decoder) -> Decoder:
        for name, own in self.found.items():
            kept = own.basis[:, : self.rank]
            points = [EMBED] if "embed_tokens" in name else [FINAL]
            if model.config.tied_embeddings:
                points = [EMBED, FINAL]
            for point in points:
                model = hooked(model, point, partial(_within, kept))
        return model


def _within(kept: Tensor, x: Tensor) -> Tensor:
    """The part of x [..., d_model] that lies in the directions `kept` [d_model, rank]."""
    return (x @ kept) @ kept.T


def factored_parameters(shape: Sequence[int], rank: int) -> int:
    """Numbers in two factors [rows, rank] and [rank, columns]."""
    return rank * (shape[0] + shape[1])


def break_even_rank(shape: Sequence[int]) -> float:
    """Below this rank two factors are smaller than the matrix; half its width if it is square."""
    return shape[0] * shape[1] / (shape[0] + shape[1])


def crowding(dimensions: int, vectors: int, seed: int) -> tuple[float, float]:
    """Of this many random directions: the mean and the largest |cosine| of two of them."""
    x = torch.randn(vectors, dimensions, generator=torch.Generator().manual_seed(seed))
    x = x / x.norm(dim=-1, keepdim=True)
    cosines = (x @ x.T).abs()[~torch.eye(vectors, dtype=torch.bool)]
    return float(cosines.mean()), float(cosines.max())
