"""The shape of a model, read from a Hugging Face `config.json`. Torch-free."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec

from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config_keys import refuse_unknown
from llm_holes.engine.model.quantized_formats import fp8_block

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
ROPE_TYPES = ("default", "linear", "llama3")
# what transformers takes where a family's config.json says nothing
KV_HEADS = {"mistral": 8, "qwen2": 32, "qwen3": 32}
HEAD_DIM = {"qwen3": 128}
WINDOW = 4096
MAX_LAYERS, MAX_COUNT = 2_000, 2**31
FULL, SLIDING = "full_attention", "sliding_attention"


class Rope(msgspec.Struct, frozen=True):
    """Rotary position parameters; `factor` and the rest serve the scaled types (Llama 3.1, section 'RoPE scaling')."""

    rope_type: str = "default"
    rope_theta: float = 10_000.0
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192


class Sizes(msgspec.Struct, frozen=True):
    """The sizes of a model, under TransformerLens' names; `n_kv_heads` < `n_heads` means grouped-query attention."""

    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_mlp: int
    d_vocab: int
    n_ctx: int
    tied_embeddings: bool


class Config(Sizes, frozen=True):
    """What the decoder has to know of a model besides its weights.

    `biases` are the matrices of a layer that have one (`self_attn.q_proj`). `windows` are, for each layer, how many
    positions a query sees, itself the last of them; None for all (Beltagy et al. 2020, Jiang et al. 2023).
    """

    family: str
    norm_eps: float
    rope: Rope
    biases: tuple[str, ...]
    windows: tuple[int | None, ...]

    @property
    def kv_group(self) -> int:
        """Query heads that share one key/value head."""
        return self.n_heads // self.n_kv_heads

    def kv_bytes_per_token(self, element_bytes: int = 4) -> int:
        """Bytes of one token's keys and values in all layers."""
        return 2 * self.n_layers * self.n_kv_heads * self.d_head * element_bytes


def read_config(folder: Path) -> Config:
    """The config of the checkpoint in `folder`. Raises ModelError if it is missing, broken or of another family."""
    path = folder / "config.json"
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return from_hugging_face(raw)
    except (OSError, json.JSONDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}", "Give --model a folder with config.json in it.") from None
    except (LookupError, TypeError, ValueError, ArithmeticError, msgspec.MsgspecError) as error:
        raise ModelError(f"{path} lacks or garbles {error}", "Use an unchanged Hugging Face checkpoint.") from None


def from_hugging_face(raw: dict[str, Any]) -> Config:
    """The config in a parsed `config.json`. Raises ModelError for a model of another kind, LookupError, TypeError or
    ValueError for what is missing or no number."""
    family = str(raw["model_type"])
    if family not in FAMILIES:
        raise ModelError(f"models of type {family!r} are not supported", f"Supported: {', '.join(FAMILIES)}.")
    fp8_block(raw)
    refuse_unknown(raw)
    if raw.get("hidden_act", "silu") not in ("silu", "swish"):
        raise ModelError(f"the activation {raw['hidden_act']!r} is not supported", "Use a model with SwiGLU.")

    def count(name: str) -> int:
        return _count(raw[name], name)

    n_heads = count("num_attention_heads")
    config = Config(
        n_layers=_count(raw["num_hidden_layers"], "num_hidden_layers", MAX_LAYERS),
        d_model=count("hidden_size"),
        n_heads=n_heads,
        n_kv_heads=_count(raw.get("num_key_value_heads", KV_HEADS.get(family)) or n_heads, "num_key_value_heads"),
        d_head=_count(raw.get("head_dim", HEAD_DIM.get(family)) or raw["hidden_size"] // n_heads, "head_dim"),
        d_mlp=count("intermediate_size"),
        d_vocab=count("vocab_size"),
        n_ctx=count("max_position_embeddings"),
        tied_embeddings=bool(raw.get("tie_word_embeddings", False)),
        family=family,
        norm_eps=_number(raw["rms_norm_eps"], "rms_norm_eps"),
        rope=_rope(raw),
        biases=_biases(family, raw),
        windows=_windows(family, raw),
    )
    if config.n_heads % config.n_kv_heads:
        raise ModelError(
            f"{config.n_heads} heads cannot share {config.n_kv_heads} key/value heads", "Check config.json."
        )
    if config.d_head % 2:
        raise ModelError(f"heads of {config.d_head} dimensions cannot be rotated in pairs", "Check config.json.")
    return config


def _count(value: Any, name: str, limit: int = MAX_COUNT) -> int:
    if not _is_number(value) or value != int(value) or not 0 < value <= limit:
        raise ValueError(f"{name} = {value!r:.60}")
    return int(value)


def _number(value: Any, name: str) -> float:
    if not _is_number(value):
        raise ValueError(f"{name} = {value!r:.60}")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _rope(raw: dict[str, Any]) -> Rope:
    given = raw.get("rope_scaling") or raw.get("rope_parameters") or {}
    if not isinstance(given, dict):
        raise ValueError(f"RoPE parameters = {given!r:.60}")
    fields = {name: given[name] for name in Rope.__struct_fields__ if given.get(name) is not None}
    fields.setdefault("rope_type", given.get("type") or "default")
    fields.setdefault("rope_theta", raw.get("rope_theta", 10_000.0))
    if str(fields["rope_type"]) not in ROPE_TYPES:
        raise ModelError(f"RoPE type {fields['rope_type']!r} is not supported", f"Supported: {', '.join(ROPE_TYPES)}.")
    known = {*Rope.__struct_fields__, "type"}
    if other := {n: v for n, v in given.items() if n not in known and v is not None}:
        refuse_unknown(other)
    if fields["rope_type"] == "llama3":
        fields.setdefault("original_max_position_embeddings", raw["max_position_embeddings"])
    needed = {"default": (), "linear": ("factor",), "llama3": ("factor", "low_freq_factor", "high_freq_factor")}
    for name in needed[fields["rope_type"]]:
        if name not in fields:
            raise KeyError(name)
    for name in fields.keys() - {"rope_type"}:
        if not _number(fields[name], name) > 0 or fields[name] > MAX_COUNT:
            raise ValueError(f"{name} = {fields[name]!r:.60}")
    if fields["rope_type"] == "llama3" and fields["low_freq_factor"] >= fields["high_freq_factor"]:
        raise ValueError(f"low_freq_factor = {fields['low_freq_factor']!r}, which is not below high_freq_factor")
    return msgspec.convert(fields, Rope, strict=False)


def _biases(family: str, raw: dict[str, Any]) -> tuple[str, ...]:
    if family == "mistral":
        return ()
    attention = "qkv" if family == "qwen2" else "qkvo" if raw.get("attention_bias") else ""
    mlp = ("gate", "up", "down") if family == "llama" and raw.get("mlp_bias") else ()
    return (*(f"self_attn.{name}_proj" for name in attention), *(f"mlp.{name}_proj" for name in mlp))


def _windows(family: str, raw: dict[str, Any]) -> tuple[int | None, ...]:
    """Mistral has its window in all layers; Qwen, where it is switched on, in those from `max_window_layers` on or in
    those that `layer_types` names."""
    layers = _count(raw["num_hidden_layers"], "num_hidden_layers", MAX_LAYERS)
    given = raw.get("sliding_window", None if family == "llama" else WINDOW)
    if family in ("qwen2", "qwen3") and not raw.get("use_sliding_window"):
        given = None
    window = None if given is None else _count(given, "sliding_window")
    if family == "llama" and window is not None and window < int(raw["max_position_embeddings"]):
        raise ModelError(
            f"config.json has 'sliding_window' = {window}, which models of type 'llama' do not have",
            "Say model_type mistral if it is one, or take the key out if the model was trained without a window.",
        )
    first = int(raw.get("max_window_layers", 28)) if family in ("qwen2", "qwen3") else 0
    default = [SLIDING if window is not None and layer >= first else FULL for layer in range(layers)]
    types = raw.get("layer_types") or default
    if not isinstance(types, list) or len(types) != layers or not {*types} <= {SLIDING, FULL}:
        raise ModelError(f"config.json has 'layer_types' = {types!r:.60}", f"Known are {FULL} and {SLIDING}.")
    if family in ("llama", "mistral") and list(types) != default:
        raise ModelError(
            f"config.json has 'layer_types', which models of type {family!r} do not have", "Use an unchanged one."
        )
    if window is None and SLIDING in types:
        raise ModelError("config.json has 'layer_types' with windows but no 'sliding_window'", "Use an unchanged one.")
    return tuple(window if kind == SLIDING else None for kind in types)
