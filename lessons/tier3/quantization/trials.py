"""What a way of rounding costs in bytes and in quality, and which of many ways no other beats in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.measure import kl_nats
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.number_formats import BITS, Format
from llm_holes.engine.model.quantize import Granularity
from llm_holes.engine.numbers import plural
from llm_holes.engine.surgery.number_formats import CastWeights, FormatWeights
from llm_holes.engine.surgery.operations import PackedWeights, Part, QuantizedWeights, matrices, operated

Rounding = QuantizedWeights | FormatWeights | CastWeights
Reach = Granularity | Literal["nothing"]
"""What has a scale of its own; nothing: numbers are stored as they are."""
BLOCK = 32
LADDER: tuple[tuple[int | Format, Granularity, bool], ...] = (
    (8, "channel", True),
    ("FP8 E4M3", "channel", True),
    (6, "channel", True),
    (5, "group", True),
    (4, "tensor", True),
    (4, "channel", True),
    (4, "group", True),
    (4, "group", False),
    ("FP4", "group", True),
    ("NF4", "group", True),
    (3, "group", False),
    (2, "group", False),
)
"""Whole numbers of so many bits or a format, what shares a scale, and whether the levels lie around zero."""


def sizes(model: Decoder, rounded: Decoder, rounding: Rounding) -> dict[str, Any]:
    """Bytes of all weights with the rounded matrices stored as codes, against fp32, and the error of the rounding."""
    names = matrices(model, rounding.part)
    pairs = [(model.weights[name], rounded.weights[name]) for name in names]
    squares = sum(float(torch.dist(a, b)) ** 2 for a, b in pairs)
    total = sum(float(a.norm()) ** 2 for a, _ in pairs)
    count = sum(a.numel() for a, _ in pairs)
    all_bytes = sum(w.nbytes for w in model.weights.values())
    codes = sum(rounding.stored_bytes(a.shape) for a, _ in pairs)
    stored = all_bytes - 4 * count + codes
    return {
        "weight_bytes": stored,
        "weight_bytes_fp32": all_bytes,
        "size_ratio": stored / all_bytes,
        "bits_per_weight": 8 * codes / count if count else 32.0,
        "weight_rmse": (squares / max(count, 1)) ** 0.5,
        "weight_error_relative": (squares / total) ** 0.5 if total else 0.0,
    }


def levels_per_block(w: Tensor) -> int:
    """The most different numbers that any 32 neighbours in a row of w [out, in] have: 16 if they came as Q4_1."""
    blocks = w.flatten()[: w.numel() // BLOCK * BLOCK].view(-1, BLOCK).sort(-1).values
    return int((blocks.diff(dim=-1) != 0).sum(-1).max()) + 1


def rounding_of(
    kind: int | Format, reach: Reach, group_size: int, symmetric: bool, part: Part, factor: float = 1.0
) -> Rounding:
    """Whole numbers of so many bits, or the numbers of a format; the factor counts only where there is no scale."""
    if reach == "nothing":
        return CastWeights(kind, factor, part)
    if isinstance(kind, int):
        return QuantizedWeights(kind, reach, group_size, symmetric, part)
    return FormatWeights(kind, reach, group_size, part)


def kind_of(rounding: Rounding) -> int | Format:
    """The format, or for whole numbers how many bits they have."""
    if isinstance(rounding, CastWeights):
        return rounding.kind
    return rounding.bits if isinstance(rounding, QuantizedWeights) else rounding.format


def bits_of(rounding: Rounding) -> int:
    kind = kind_of(rounding)
    return kind if isinstance(kind, int) else BITS[kind]


def packed_form(rounding: Rounding) -> PackedWeights | None:
    """The same rounding for a kernel that reads only the codes, where there is one."""
    if not isinstance(rounding, QuantizedWeights) or rounding.part == "none":
        return None
    if rounding.bits == 8 and rounding.granularity == "channel" and rounding.symmetric:
        return PackedWeights(8, rounding.part)
    if rounding.bits == 4 and rounding.granularity == "group" and rounding.group_size == 32 and not rounding.symmetric:
        return PackedWeights(4, rounding.part)
    return None


@dataclass(frozen=True, slots=True)
class Trial:
    """One way of rounding: bytes of all weights then, bits per rounded weight, KL on the text tried, and
    the bits of a code."""

    name: str
    weight_bytes: int
    bits_per_weight: float
    kl_nats: float
    bits: int = 0


def trials(model: Decoder, ids: Sequence[int], part: Part, group_size: int) -> Iterator[Trial]:
    """Every rung of the ladder, done to the matrices of `part`. Raises Cancelled in between."""
    text = torch.tensor([list(ids)])
    intact = model.forward(text).logits[0]
    for kind, granularity, symmetric in LADDER:
        if model.is_cancelled():
            raise Cancelled
        rounding = rounding_of(kind, granularity, group_size, symmetric, part)
        rounded = operated(model, [rounding])
        size = sizes(model, rounded, rounding)
        what = plural(kind, "bit") if isinstance(kind, int) else kind
        name = f"{what} per {granularity}{'' if symmetric else ', asymmetric'}"
        kl = kl_nats(intact, rounded.forward(text).logits[0])
        yield Trial(name, size["weight_bytes"], size["bits_per_weight"], kl, bits_of(rounding))


def pareto(found: Sequence[Trial]) -> list[Trial]:
    """Those that no other equals or beats in bytes and quality both, and beats in one."""
    return [
        one
        for one in found
        if not any(
            other.weight_bytes <= one.weight_bytes
            and other.kl_nats <= one.kl_nats
            and (other.weight_bytes, other.kl_nats) != (one.weight_bytes, one.kl_nats)
            for other in found
        )
    ]
