"""Matrices in 16, 8 or 4 bits with the products that really read fewer bytes; 8 and 4 by torch's CPU kernels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

INT4_GROUP = 32


@dataclass(frozen=True, slots=True)
class Int8Weight:
    """Symmetric 8-bit codes [out, in] with one scale per output row; activations are rounded to bfloat16."""

    codes: Tensor
    scales: Tensor

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.scales.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, -2).bfloat16()
        y: Tensor = torch._weight_int8pack_mm(rows, self.codes, self.scales)
        return y.float().view(*x.shape[:-1], -1)


@dataclass(frozen=True, slots=True)
class Int4Weight:
    """Asymmetric 4-bit codes, packed, with a scale and a zero per group of 32 inputs; activations in bfloat16."""

    packed: Tensor
    scales_and_zeros: Tensor
    nbytes: int

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, -2).bfloat16()
        y: Tensor = torch._weight_int4pack_mm_for_cpu(rows, self.packed, INT4_GROUP, self.scales_and_zeros)
        return y.float().view(*x.shape[:-1], -1)


@dataclass(frozen=True, slots=True)
class Bf16Weight:
    """A matrix [out, in] kept in bfloat16; activations are rounded to it, products are summed in fp32."""

    numbers: Tensor

    @property
    def nbytes(self) -> int:
        return self.numbers.nbytes

    def rows(self, ids: Tensor) -> Tensor:
        """The rows of `ids` [...], in fp32: [..., in]."""
        return F.embedding(ids, self.numbers).float()

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x.bfloat16(), self.numbers).float()


class Widened(Mapping[str, Tensor]):
    """Tensors by name in fp32, made when they are asked for: what is not a product of the model's own reads these."""

    def __init__(self, kept: Mapping[str, Tensor]) -> None:
        self._kept = kept

    def __getitem__(self, name: str) -> Tensor:
        return self._kept[name].float()

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, name: object) -> bool:
        return name in self._kept


PackedWeight = Bf16Weight | Int8Weight | Int4Weight
