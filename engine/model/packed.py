"""Matrices packed in 8 or 4 bits with the products that really read fewer bytes (torch's CPU kernels)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
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


PackedWeight = Int8Weight | Int4Weight
