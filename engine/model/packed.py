"""Matrices in 16, 8 or 4 bits, multiplied as they are: what is read is fewer bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.model.kernels import HALF, Bf16s, Floats, columns_int4, dots_bf16, dots_int4, dots_int8
from llm_holes.engine.model.product import are_few, through

IN_BF16 = torch.backends.cpu.get_cpu_capability() == "AVX512"
"""Whether torch multiplies faster in bfloat16 than in fp32; without AVX-512 it takes many times as long."""


@dataclass(frozen=True, slots=True)
class Int8Weight:
    """Symmetric 8-bit codes [out, in] with one scale per output row [out]."""

    codes: npt.NDArray[np.int8]
    scales: Floats

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.scales.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        """x [..., in] through it: [..., out]. Many vectors are rounded to bfloat16 where that is faster."""
        if are_few(x):
            return through(x, len(self.codes), dots_int8, self.codes, self.scales)
        return _many(x, torch.from_numpy(self.codes).T) * torch.from_numpy(self.scales)


@dataclass(frozen=True, slots=True)
class Int4Weight:
    """Asymmetric 4-bit codes with a scale and an offset per group of 32 inputs, two codes in a byte, as `dots_int4`
    reads them; `rows` of the last block count."""

    codes: npt.NDArray[np.uint8]
    scales: Bf16s
    offsets: Bf16s
    rows: int

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.scales.nbytes + self.offsets.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        """x [..., in] through it: [..., out]. Many vectors are rounded to bfloat16 where that is faster."""
        if are_few(x):
            y = through(x, 2 * HALF * len(self.codes), dots_int4, self.codes, self.scales, self.offsets)
        else:
            y = _many(x, torch.from_numpy(columns_int4(self.codes, self.scales, self.offsets)).flatten(1))
        return y if y.shape[-1] == self.rows else y[..., : self.rows]


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
        if are_few(x) and self.numbers.is_contiguous():
            return through(x.bfloat16().float(), len(self.numbers), dots_bf16, self.numbers.view(torch.uint16).numpy())
        return F.linear(x.bfloat16(), self.numbers).float()


def _many(x: Tensor, columns: Tensor) -> Tensor:
    """Many vectors x [..., in] through `columns` [in, out], which were unpacked for them."""
    return (x.bfloat16() @ columns.bfloat16()).float() if IN_BF16 else x @ columns.float()


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
