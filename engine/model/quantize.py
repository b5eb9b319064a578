"""Rounding weights to few levels: scales, zero points, and what the codes would weigh.

Levels: symmetric codes run -(2^(b-1)-1) … 2^(b-1)-1 around 0; asymmetric codes 0 … 2^b-1 between the smallest and the
largest value (Jacob et al. 2018). A scale serves the whole tensor, one output row (channel) or a group of inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from llm_holes.engine.errors import InputError
from llm_holes.engine.model.kernels import GROUP, HALF, Bf16s
from llm_holes.engine.model.packed import Int4Weight, Int8Weight

Granularity = Literal["tensor", "channel", "group"]
SCALE_BITS = 16
CHUNK = 2**19
"""Numbers rounded at a time, few enough to stay in a processor's cache from one step to the next."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """`codes` [blocks, block] in whole numbers, `scale` and `zero_point` [blocks, 1]; `shape` is the weight's own."""

    codes: Tensor
    scale: Tensor
    zero_point: Tensor
    bits: int
    symmetric: bool
    shape: torch.Size

    def dequantized(self) -> Tensor:
        """The rounded weight, in its own shape: (codes - zero_point) · scale."""
        values = torch.empty_like(self.codes)
        for part in _parts(self.codes):
            torch.sub(self.codes[part], self.zero_point[part], out=values[part]).mul_(self.scale[part])
        return values.view(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the codes, packed, with one fp16 scale per block and, if asymmetric, one fp16 offset."""
        return stored_bytes(self.codes.numel(), self.scale.numel(), self.bits, self.symmetric)


def stored_bytes(weights: int, blocks: int, bits: int, symmetric: bool) -> int:
    """Bytes of packed codes with one fp16 scale per block and, if asymmetric, one fp16 offset."""
    per_block = SCALE_BITS if symmetric else 2 * SCALE_BITS
    return (weights * bits + blocks * per_block + 7) // 8


def quantize(w: Tensor, bits: int, granularity: Granularity, group_size: int = 32, symmetric: bool = True) -> Quantized:
    """Rounds w [out, in]. Raises InputError if groups do not divide the rows."""
    blocks = blocks_of(w, granularity, group_size)
    if symmetric:
        top = 2 ** (bits - 1) - 1
        scale = torch.maximum(blocks.amax(-1, keepdim=True), -blocks.amin(-1, keepdim=True)) / top
        zero_point = torch.zeros_like(scale)
        low, high = -top, top
    else:
        low, high = 0, 2**bits - 1
        smallest = blocks.amin(-1, keepdim=True)
        scale = (blocks.amax(-1, keepdim=True) - smallest) / high
        zero_point = -smallest / scale.where(scale > 0, 1.0)
    scale = scale.where(scale > 0, 1.0)
    codes = torch.empty_like(blocks)
    for part in _parts(blocks):
        torch.div(blocks[part], scale[part], out=codes[part]).add_(zero_point[part]).round_().clamp_(low, high)
    return Quantized(codes, scale, zero_point, bits, symmetric, w.shape)


def _parts(blocks: Tensor) -> Iterator[slice]:
    """The rows of [blocks, block], some at a time."""
    step = max(1, CHUNK // blocks.shape[1])
    return (slice(start, start + step) for start in range(0, len(blocks), step))


def blocks_of(w: Tensor, granularity: Granularity, group_size: int) -> Tensor:
    """w [out, in] as the blocks [blocks, block] that share a scale. Raises InputError if groups do not divide rows."""
    if granularity == "tensor":
        return w.reshape(1, -1)
    if granularity == "channel":
        return w
    if w.shape[-1] % group_size:
        raise InputError(f"groups of {group_size} do not divide rows of {w.shape[-1]}", "Choose another group size.")
    return w.reshape(-1, group_size)


def int8_weight(w: Tensor) -> Int8Weight:
    """w [out, in] as symmetric 8-bit codes with a scale per row."""
    q = quantize(w, 8, "channel")
    return Int8Weight(q.codes.to(torch.int8).numpy(), q.scale[:, 0].contiguous().numpy())


def int4_weight(w: Tensor) -> Int4Weight:
    """w [out, in] as asymmetric 4-bit codes in groups of 32, in blocks of rows."""
    q = quantize(w, 4, "group", GROUP, symmetric=False)
    codes = _in_blocks(q.codes.to(torch.uint8).view(len(w), -1, GROUP)).permute(0, 2, 3, 1)
    scales, offsets = (_in_blocks(y.view(len(w), -1)).transpose(1, 2) for y in (q.scale, -q.zero_point * q.scale))
    low, high = codes.chunk(2, -1)
    return Int4Weight((low | high << 4).contiguous().numpy(), _bf16s(scales), _bf16s(offsets), len(w))


def _in_blocks(rows: Tensor) -> Tensor:
    """[out, …] as [blocks, rows of a block, …], with zeros where the last block is not full."""
    missing = -len(rows) % (2 * HALF)
    rows = torch.cat((rows, rows.new_zeros(missing, *rows.shape[1:]))) if missing else rows
    return rows.view(-1, 2 * HALF, *rows.shape[1:])


def _bf16s(x: Tensor) -> Bf16s:
    return x.contiguous().bfloat16().view(torch.uint16).numpy()
