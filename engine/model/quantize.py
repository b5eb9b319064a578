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
from llm_holes.engine.model.packed import INT4_GROUP, Int4Weight, Int8Weight

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
    """w [out, in] as symmetric 8-bit codes with a bfloat16 scale per row, ready for the int8 kernel."""
    q = quantize(w, 8, "channel")
    return Int8Weight(q.codes.to(torch.int8), q.scale[:, 0].bfloat16())


def int4_weight(w: Tensor) -> Int4Weight:
    """w [out, in] as asymmetric 4-bit codes in groups of 32, packed for the int4 kernel."""
    q = quantize(w, 4, "group", INT4_GROUP, symmetric=False)
    groups = w.shape[1] // INT4_GROUP
    codes = q.codes.to(torch.int32).view(w.shape)
    packed = torch._convert_weight_to_int4pack_for_cpu(codes, 1)
    # the kernel computes (code - 8) · scale + zero, so the offset is moved to the middle code
    offset = (8 - q.zero_point) * q.scale
    pairs = torch.stack((q.scale.view(-1, groups), offset.view(-1, groups)), -1)
    pairs = pairs.transpose(0, 1).contiguous().bfloat16()
    return Int4Weight(packed, pairs, packed.nbytes + pairs.nbytes)
