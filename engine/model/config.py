"""The shape of a model, read from a Hugging Face `config.json`. Torch-free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from llm_holes.engine.errors import ModelError

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
ROPE_TYPES = ("default", "linear", "llama3")


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
    """What the decoder has to know of a model besides its weights."""

    family: str
    norm_eps: float
    rope: Rope

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
    family = raw["model_type"]
    if family not in FAMILIES:
        raise ModelError(f"models of type {family!r} are not supported", f"Supported: {', '.join(FAMILIES)}.")
    if raw.get("hidden_act", "silu") != "silu":
        raise ModelError(f"the activation {raw['hidden_act']!r} is not supported", "Use a model with SwiGLU.")
    n_heads = int(raw["num_attention_heads"])
    config = Config(
        n_layers=int(raw["num_hidden_layers"]),
        d_model=int(raw["hidden_size"]),
        n_heads=n_heads,
        n_kv_heads=int(raw.get("num_key_value_heads") or n_heads),
        d_head=int(raw.get("head_dim") or raw["hidden_size"] // n_heads),
        d_mlp=int(raw["intermediate_size"]),
        d_vocab=int(raw["vocab_size"]),
        n_ctx=int(raw["max_position_embeddings"]),
        tied_embeddings=bool(raw.get("tie_word_embeddings", False)),
        family=family,
        norm_eps=float(raw["rms_norm_eps"]),
        rope=_rope(raw),
    )
    if config.n_heads % config.n_kv_heads:
        raise ModelError(
            f"{config.n_heads} heads cannot share {config.n_kv_heads} key/value heads", "Check config.json."
        )
    return config


def _rope(raw: dict[str, Any]) -> Rope:
    given = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    fields = {name: given[name] for name in Rope.__struct_fields__ if name in given}
    fields.setdefault("rope_type", given.get("type", "default"))
    fields.setdefault("rope_theta", raw.get("rope_theta", 10_000.0))
    if fields["rope_type"] not in ROPE_TYPES:
        raise ModelError(f"RoPE type {fields['rope_type']!r} is not supported", f"Supported: {', '.join(ROPE_TYPES)}.")
    return msgspec.convert(fields, Rope, strict=False)
