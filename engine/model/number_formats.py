"""Small floating-point and table formats: which numbers they have, and rounding to the nearest of them.

Sources: Micikevicius et al. 2022 (FP8: E4M3 and E5M2), OCP Microscaling 2023 (FP4: E2M1), Dettmers et al. 2023 (NF4:
its levels lie where equally many numbers of a bell curve do).
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from llm_holes.engine.model.quantize import SCALE_BITS, Granularity, blocks_of

Format = Literal["BF16", "FP8 E4M3", "FP8 E5M2", "FP4", "NF4"]
FORMATS: tuple[Format, ...] = get_args(Format)
BITS: dict[Format, int] = {"BF16": 16, "FP8 E4M3": 8, "FP8 E5M2": 8, "FP4": 4, "NF4": 4}
DTYPES = {"FP8 E4M3": torch.float8_e4m3fn, "FP8 E5M2": torch.float8_e5m2}
FP4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
BINS = 2048
"""Stretches of a format's range, so short that at most one border between two of its numbers is near each."""
CHUNK = 2**16
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


def levels(format: Format) -> Tensor:
    """All numbers of a format of at most 8 bits, from the smallest to the largest. Raises KeyError for BF16."""
    if format in DTYPES:
        numbers = torch.arange(256, dtype=torch.uint8).view(DTYPES[format]).float()
        return torch.tensor(sorted({x for x in numbers.tolist() if math.isfinite(x)}))
    return {"FP4": torch.tensor([*(-x for x in FP4[:0:-1]), *FP4]), "NF4": torch.tensor(NF4)}[format]


def scale_of(blocks: Tensor, format: Format) -> Tensor:
    """The scale of each of the blocks [blocks, block], [blocks, 1], that brings its largest number to the format's."""
    scale = blocks.abs().amax(-1, keepdim=True) / levels(format).max()
    return scale.where(scale > 0, 1.0)


def rounded(w: Tensor, format: Format, granularity: Granularity, group_size: int = 32) -> Tensor:
    """w [out, in] with each number replaced by the nearest of the format, times its block's scale; BF16 needs none.
    Raises InputError if groups do not divide the rows."""
    if format == "BF16":
        return w.bfloat16().float()
    blocks = blocks_of(w, granularity, group_size)
    scale = scale_of(blocks, format)
    return (_nearest(blocks / scale, format) * scale).view(w.shape)


def cast(x: Tensor, kind: Format | int) -> Tensor:
    """Each of x as the format holds it without a scale: the nearest of its numbers, which for what lies beyond them is
    the last. An int means whole numbers of so many bits, as many below 0 as above."""
    if kind == "BF16":
        return x.bfloat16().float()
    if isinstance(kind, int):
        return x.round().clamp(1 - 2 ** (kind - 1), 2 ** (kind - 1) - 1)
    known = levels(kind)
    return _nearest(x.clamp(float(known[0]), float(known[-1])), kind)


def _nearest(x: Tensor, format: Format) -> Tensor:
    """The nearest of the format's numbers, for x within them."""
    if format in DTYPES:
        return x.to(DTYPES[format]).float()
    known = levels(format)
    borders = torch.cat(((known[1:] + known[:-1]) / 2, torch.tensor([torch.inf])))
    low, per_unit = float(known[0]), BINS / float(known[-1] - known[0])
    # two candidates for each stretch and the border between them: five times as fast as a search for each number
    first = torch.bucketize(low + torch.arange(-1, BINS) / per_unit, borders[:-1])
    below, border, above = known[first], borders[first], known[(first + 1).clamp_max(len(known) - 1)]
    found = torch.empty_like(x, memory_format=torch.contiguous_format)
    parts, outs = (torch.split(flat, CHUNK) for flat in (x.reshape(-1), found.view(-1)))
    for part, out in zip(parts, outs, strict=True):
        bins = ((part - low) * per_unit).to(torch.int32).clamp_(0, BINS)
        torch.where(
            part > border.index_select(0, bins), above.index_select(0, bins), below.index_select(0, bins), out=out
        )
    return found


def format_bytes(weights: int, blocks: int, format: Format) -> int:
    """Bytes of packed codes with one fp16 scale per block, where the format needs one."""
    return (weights * BITS[format] + (0 if format == "BF16" else blocks * SCALE_BITS) + 7) // 8
