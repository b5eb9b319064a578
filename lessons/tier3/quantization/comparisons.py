"""Ways of rounding side by side, each by how far it moves the predictions: formats of weights, parts of the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.measure import changed_share, kl_nats
from llm_holes.engine.model.number_formats import Format
from llm_holes.engine.model.quantize import Granularity
from llm_holes.engine.surgery.operations import CachePart, Part, QuantizedKV, largest_of_channels
from llm_holes.lessons.tier3.quantization.trials import BLOCK, rounding_of


@dataclass(frozen=True, slots=True)
class Moved:
    """How far predictions moved: in nats, and as the share of next tokens that would come out differently."""

    kl_nats: float
    changed_share: float

    @classmethod
    def of(cls, intact: Tensor, changed: Tensor) -> Moved:
        """From logits [pos, d_vocab]."""
        return cls(kl_nats(intact, changed), changed_share(intact, changed))


FORMATS: Mapping[str, tuple[int | Format, Granularity]] = {
    "BF16": ("BF16", "channel"),
    "INT8": (8, "channel"),
    "FP8 E4M3": ("FP8 E4M3", "channel"),
    "FP8 E5M2": ("FP8 E5M2", "channel"),
    "NF4": ("NF4", "group"),
    "FP4": ("FP4", "group"),
    "INT4": (4, "group"),
}
"""Kinds of numbers, and what has a scale: a row with 8 bits, a group of weights with 4."""


def by_format(engine: Engine, ids: Sequence[int], intact: Tensor, part: Part) -> Iterator[tuple[str, Moved]]:
    """How far each format moves the predictions when the matrices of `part` are stored in it. Raises Cancelled."""
    for name, (kind, granularity) in FORMATS.items():
        rounded = engine.operated([rounding_of(kind, granularity, BLOCK, True, part)])
        yield name, Moved.of(intact, rounded.logits(ids))


class CacheWay(NamedTuple):
    """What of the cache is rounded, and whether each place has a scale instead of each vector."""

    name: str
    what: CachePart
    per_place: bool


CACHES: Mapping[str, CacheWay] = {
    "keys, a scale for each": CacheWay("keys", "keys", False),
    "keys, a scale per place": CacheWay("keys_per_place", "keys", True),
    "values, a scale for each": CacheWay("values", "values", False),
    "values, a scale per place": CacheWay("values_per_place", "values", True),
}


def by_cache(engine: Engine, ids: Sequence[int], intact: Tensor, bits: int) -> Iterator[tuple[str, Moved]]:
    """How far each way of rounding the cache moves the predictions. Raises Cancelled."""
    largest = largest_of_channels(engine.model, ids, "both")
    for name, way in CACHES.items():
        rounded = engine.operated([QuantizedKV(bits, way.what, largest if way.per_place else None)])
        yield name, Moved.of(intact, rounded.logits(ids))
