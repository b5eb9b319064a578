"""A model whose matrices hold only the numbers of a small format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.number_formats import BITS, Format, cast, format_bytes, rounded
from llm_holes.engine.model.quantize import Granularity
from llm_holes.engine.surgery.operations import Part, block_count, matrices, one_by_one, reweighted, weight


@dataclass(frozen=True, slots=True)
class FormatWeights:
    """Rounds the matrices of `part` to the numbers of a format and uses the rounded values, in fp32 arithmetic."""

    format: Format
    granularity: Granularity = "channel"
    group_size: int = 32
    part: Part = "all"

    def apply(self, model: Decoder) -> Decoder:
        return _each(model, self.part, lambda w: rounded(w, self.format, self.granularity, self.group_size))

    def stored_bytes(self, shape: torch.Size) -> int:
        """Bytes of a matrix of this shape as codes and scales."""
        return format_bytes(shape.numel(), block_count(shape, self.granularity, self.group_size), self.format)


@dataclass(frozen=True, slots=True)
class CastWeights:
    """Stores the matrices of `part` without any scale: multiplied by `factor`, each weight becomes the nearest number
    of the format, or the nearest whole number of so many bits, and is divided by `factor` again."""

    kind: Format | int
    factor: float = 1.0
    part: Part = "all"

    def apply(self, model: Decoder) -> Decoder:
        return _each(model, self.part, lambda w: cast(w * self.factor, self.kind) / self.factor)

    def stored_bytes(self, shape: torch.Size) -> int:
        """Bytes of a matrix of this shape as codes."""
        return (shape.numel() * (self.kind if isinstance(self.kind, int) else BITS[self.kind]) + 7) // 8


def _each(model: Decoder, part: Part, stored: Callable[[Tensor], Tensor]) -> Decoder:
    """The model with the matrices of `part` as they are `stored`."""
    changed: dict[str, Tensor] = {}
    for name in one_by_one(model, matrices(model, part)):
        changed[name] = stored(weight(model, name))
    return reweighted(model, changed)
