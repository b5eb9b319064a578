"""Numbers of a parsed `config.json`, each with the range it may have. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class Range(NamedTuple):
    low: float
    high: float
    whole: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:,.9g} to {self.high:,.9g}"


def _whole(low: int, high: int) -> Range:
    return Range(low, high, whole=True)


FACTOR = Range(1e-6, 1e6)
FREQUENCY = Range(1.0, 1e15)
POSITIONS = _whole(1, 2**28)
RANGES: Mapping[str, Range] = {
    "num_hidden_layers": _whole(1, 2_000),
    "hidden_size": _whole(1, 2**18),
    "intermediate_size": _whole(1, 2**22),
    "num_attention_heads": _whole(1, 2**12),
    "num_key_value_heads": _whole(1, 2**12),
    "head_dim": _whole(1, 2**14),
    "vocab_size": _whole(1, 2**24),
    "max_position_embeddings": POSITIONS,
    "original_max_position_embeddings": POSITIONS,
    "sliding_window": POSITIONS,
    "sliding_window_pattern": _whole(1, 2_000),
    "max_window_layers": _whole(0, 2_000),
    "no_rope_layer_interval": _whole(1, 2_000),
    "num_experts": _whole(1, 2_048),
    "num_experts_per_tok": _whole(1, 2_048),
    "experts in all layers": _whole(1, 2**15),
    "weight_block_size": _whole(1, 2**18),
    "rms_norm_eps": Range(1e-30, 1.0),
    "rope_theta": FREQUENCY,
    "rope_local_base_freq": FREQUENCY,
    "partial_rotary_factor": Range(1e-6, 1.0),
    "factor": FACTOR,
    "low_freq_factor": FACTOR,
    "high_freq_factor": FACTOR,
    "embedding_multiplier": FACTOR,
    "residual_multiplier": FACTOR,
    "attention_multiplier": FACTOR,
    "logits_scaling": FACTOR,
    "query_pre_attn_scalar": FACTOR,
    "attn_logit_softcapping": FACTOR,
    "final_logit_softcapping": FACTOR,
    "lora_alpha": FACTOR,
}
"""By the key that most families have for it. What is larger than any model needs would only fill the memory."""


def count(value: Any, name: str) -> int:
    """A whole number in the range that RANGES has for `name`. Raises ValueError."""
    return int(number(value, name))


def number(value: Any, name: str) -> float:
    """A number in the range that RANGES has for `name`. Raises ValueError."""
    allowed = RANGES[name]
    if not _is_number(value) or not allowed.low <= value <= allowed.high or (allowed.whole and value != int(value)):
        raise ValueError(f"{name} = {value!r:.60}, which is not {allowed}")
    return float(value)


def _is_number(value: Any) -> bool:
    # an int of any length is finite, but no float
    return type(value) is int or (type(value) is float and math.isfinite(value))
