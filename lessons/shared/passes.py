"""How often a lesson reads the whole of the text it is given, and so what a long one costs. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llm_holes.engine.frames import Value


@dataclass(frozen=True, slots=True)
class Reading:
    """`passes` with the other settings as they are at the start, counted in positions. A setting may add one
    pass for each of its own (`each`), or tokens to the text (`more`); what the others have read besides the text is
    `beside`, in positions."""

    passes: float
    each: str = ""
    more: str = ""
    beside: Callable[[Mapping[str, Any]], float] = lambda settings: 0

    def times(self, settings: Mapping[str, Value]) -> float:
        return self.passes + (_number(settings[self.each]) if self.each else 0)

    def tokens(self, text: int, settings: Mapping[str, Value]) -> int:
        return text + (int(_number(settings[self.more])) if self.more else 0)


def _number(value: Value) -> float:
    assert isinstance(value, int | float)
    return value


PASSES = {
    "dot-product": Reading(8),
    "embeddings": Reading(19),
    # a weight that is zeroed changes the layers above it, of the passage
    "weights": Reading(9, beside=lambda p: (p["compare"] / 2 + 4) * p["kl_tokens"]),
    "directions": Reading(8),
    "model-layers": Reading(10),
    "attention": Reading(7),
    "multi-head-attention": Reading(4),
    "ffn": Reading(7),
    "final-vector-to-token": Reading(4),
    "stopping": Reading(12),
    "layer-transforms": Reading(5),
    "dimension-tradeoffs": Reading(7),
    "hidden-states": Reading(5),
    "prefill-decode": Reading(6),
    "kv-cache": Reading(8, each="max_new_tokens", more="context_tokens"),
    "sparse-attention": Reading(46),
    "quantization": Reading(4),
    "paged-attention": Reading(5),
    "kv-cache-offloading": Reading(2, more="context_tokens"),
    "mqa-gqa": Reading(5),
    "memory": Reading(32),
    "thinking": Reading(5),
    "planning": Reading(2),
    "tool-calls": Reading(2),
    "skills": Reading(2),
    "what-happens": Reading(2),
}
