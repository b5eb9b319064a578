"""Operations on the weights themselves: one number scaled, a matrix noised, zeroed, shuffled or thinned out.

A weight vector, such as a norm's, counts as a matrix of one row.

Sources: Yu et al. 2024 (single weights that everything depends on), Han et al. 2015 (pruning by size).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import one_by_one, reweighted, weight

BAND = 2**20


@dataclass(frozen=True, slots=True)
class WeightScaled:
    """Multiplies one number of one matrix [out, in]: by 0 it is gone, by -1 its sign is flipped."""

    name: str
    row: int
    column: int
    factor: float

    def apply(self, model: Decoder) -> Decoder:
        w = weight(model, self.name).clone()
        as_matrix(w)[self.row, self.column] *= self.factor
        return reweighted(model, {self.name: w})


@dataclass(frozen=True, slots=True)
class MatricesNoised:
    """Adds Gaussian noise to these matrices; `sigma` is in standard deviations of each matrix itself."""

    names: tuple[str, ...]
    sigma: float
    seed: int

    def apply(self, model: Decoder) -> Decoder:
        generator = torch.Generator().manual_seed(self.seed)

        def noised(w: Tensor) -> Tensor:
            return w + self.sigma * w.std() * torch.randn(w.shape, generator=generator)

        return _changed(model, self.names, noised)


@dataclass(frozen=True, slots=True)
class MatricesZeroed:
    """Every number of these matrices becomes 0: what they compute becomes 0 (or their bias), not the stream."""

    names: tuple[str, ...]

    def apply(self, model: Decoder) -> Decoder:
        return _changed(model, self.names, torch.zeros_like)


@dataclass(frozen=True, slots=True)
class MatricesShuffled:
    """Puts each matrix's numbers into another order. A large matrix is shuffled `BAND` numbers at a time, matrices and
    bands of one size all in the same order: drawing an order of its own for each would take longer than a pass."""

    names: tuple[str, ...]
    seed: int

    def apply(self, model: Decoder) -> Decoder:
        orders: dict[int, Tensor] = {}

        def order(count: int) -> Tensor:
            if count not in orders:
                orders[count] = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed))
            return orders[count]

        def shuffled(w: Tensor) -> Tensor:
            return torch.cat([band[order(len(band))] for band in torch.split(w.flatten(), BAND)]).view(w.shape)

        return _changed(model, self.names, shuffled)


@dataclass(frozen=True, slots=True)
class MatricesPruned:
    """Sets a `share` of each matrix's numbers to 0: its smallest ones, or as many drawn at random."""

    names: tuple[str, ...]
    share: float
    smallest: bool
    seed: int = 0

    def apply(self, model: Decoder) -> Decoder:
        generator = torch.Generator().manual_seed(self.seed)

        def pruned(w: Tensor) -> Tensor:
            order = w.abs() if self.smallest else torch.rand(w.shape, generator=generator)
            count = int(self.share * w.numel())
            if count == 0:
                return w
            return w.where(order > order.flatten().kthvalue(count).values, 0.0)

        return _changed(model, self.names, pruned)


def as_matrix(w: Tensor) -> Tensor:
    """A view of the weight with rows and columns: a vector is one row."""
    return w if w.dim() == 2 else w[None]


def _changed(model: Decoder, names: tuple[str, ...], change: Callable[[Tensor], Tensor]) -> Decoder:
    changed: dict[str, Tensor] = {}
    for name in one_by_one(model, names):
        changed[name] = change(weight(model, name))
    return reweighted(model, changed)
