"""Which layers see only the last positions, read from a Hugging Face `config.json`. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config_numbers import count
from llm_holes.engine.model.families import Family

FULL, SLIDING = "full_attention", "sliding_attention"


def read_window(raw: Mapping[str, Any], family: Family) -> int | None:
    """How many positions a layer with a window sees, itself the last of them; None in a model without windows."""
    given = raw.get("sliding_window")
    if given is None or (family.windows == "switched" and not raw.get("use_sliding_window")):
        return None
    window = count(given, "sliding_window")
    if family.windows != "none":
        return window
    if window < count(raw["max_position_embeddings"], "max_position_embeddings"):
        raise ModelError(
            f"config.json has 'sliding_window' = {window}, which models of type {raw['model_type']!r} do not have",
            "Say model_type mistral if it is one, or take the key out if the model was trained without a window.",
        )
    return None


def layer_kinds(raw: Mapping[str, Any], family: Family, window: int | None, turned: Sequence[bool]) -> tuple[str, ...]:
    """FULL or SLIDING for each layer, as `layer_types` says or else as the family has it; `turned` are the layers that
    rotate. Raises ModelError."""
    default = _default_kinds(raw, family, window, turned)
    kinds = raw.get("layer_types") or default
    if not isinstance(kinds, list) or len(kinds) != len(turned) or any(kind not in (SLIDING, FULL) for kind in kinds):
        raise ModelError(f"config.json has 'layer_types' = {kinds!r:.60}", f"Known are {FULL} and {SLIDING}.")
    if family.windows in ("none", "all layers") and kinds != default:
        raise ModelError(
            f"config.json has 'layer_types', which models of type {raw['model_type']!r} do not have",
            "Use an unchanged one.",
        )
    if window is None and SLIDING in kinds:
        raise ModelError("config.json has 'layer_types' with windows but no 'sliding_window'", "Use an unchanged one.")
    return tuple(kinds)


def _default_kinds(raw: Mapping[str, Any], family: Family, window: int | None, turned: Sequence[bool]) -> list[str]:
    """Qwen has its windows in the layers from `max_window_layers` on, SmolLM3 in those that do not rotate, Gemma in all
    but every so many."""
    if window is None:
        return [FULL] * len(turned)
    if "no_rope_layer_interval" in family.silent:
        return [FULL if rotates else SLIDING for rotates in turned]
    if family.windows == "mixed":
        every = count(raw["sliding_window_pattern"], "sliding_window_pattern")
        return [FULL if (layer + 1) % every == 0 else SLIDING for layer in range(len(turned))]
    first = count(raw["max_window_layers"], "max_window_layers") if "max_window_layers" in family.silent else 0
    return [SLIDING if layer >= first else FULL for layer in range(len(turned))]
