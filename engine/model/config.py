"""The shape of a model, read from a Hugging Face `config.json`. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config_keys import refuse_unknown
from llm_holes.engine.model.config_numbers import count, number
from llm_holes.engine.model.families import FAMILIES, PRE, Family, Norm, QKNorm
from llm_holes.engine.model.quantized_formats import fp8_block
from llm_holes.engine.model.rope import Rope, read_rope
from llm_holes.engine.model.windows import SLIDING, layer_kinds, read_window

MAX_LAYERS = 2_000
Act = Literal["silu", "gelu", "gelu_tanh", "relu"]
ACTS: Mapping[str, Act] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}


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

    `biases` are the matrices of a layer that have one (`self_attn.q_proj`). For each layer, `ropes` says how queries
    and keys are turned, and `windows` how many positions a query sees, itself the last of them; None for all (Beltagy
    et al. 2020, Jiang et al. 2023). `norms` are the norms that a layer has. What the embedding, a query, each update
    and the logits are multiplied with is 1 in most models; scores are always divided by √d_head.
    """

    family: str
    norm_eps: float
    ropes: tuple[Rope, ...]
    biases: tuple[str, ...]
    windows: tuple[int | None, ...]
    act: Act = "silu"
    norm: Norm = "rms"
    norms: tuple[str, ...] = PRE
    qk_norm: QKNorm = "none"
    embedding_scale: float = 1.0
    query_scale: float = 1.0
    update_scale: float = 1.0
    logit_scale: float = 1.0

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
    name = str(raw["model_type"])
    if name not in FAMILIES:
        raise ModelError(f"models of type {name!r} are not supported", f"Supported: {', '.join(FAMILIES)}.")
    fp8_block(raw)
    family = FAMILIES[name]
    refuse_unknown(raw, family)
    raw = _spoken(raw, family)
    sizes = _sizes(raw)
    turned = _turned(raw, sizes.n_layers)
    window = read_window(raw, family)
    kinds = layer_kinds(raw, family, window, turned)
    return Config(
        **msgspec.structs.asdict(sizes),
        family=name,
        norm_eps=number(raw["rms_norm_eps"], "rms_norm_eps"),
        ropes=_ropes(raw, sizes.d_head, turned),
        biases=_biases(raw, family),
        windows=tuple(window if kind == SLIDING else None for kind in kinds),
        act=_act(raw),
        norm=family.norm,
        norms=family.norms,
        qk_norm=family.qk_norm,
        embedding_scale=_scale(raw, "embedding_multiplier"),
        query_scale=_query_scale(raw, sizes.d_head),
        update_scale=_scale(raw, "residual_multiplier"),
        logit_scale=1 / _scale(raw, "logits_scaling"),
    )


def _spoken(raw: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """The config with what the family leaves unsaid, under the keys that others have."""
    own = {family.renamed[key]: value for key, value in raw.items() if key in family.renamed}
    return {**family.silent, **raw, **own}


def _sizes(raw: Mapping[str, Any]) -> Sizes:
    n_heads = count(raw["num_attention_heads"], "num_attention_heads")
    n_kv_heads = count(raw.get("num_key_value_heads") or n_heads, "num_key_value_heads")
    if n_heads % n_kv_heads:
        raise ModelError(f"{n_heads} heads cannot share {n_kv_heads} key/value heads", "Check config.json.")
    return Sizes(
        n_layers=count(raw["num_hidden_layers"], "num_hidden_layers", MAX_LAYERS),
        d_model=count(raw["hidden_size"], "hidden_size"),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=count(raw.get("head_dim") or raw["hidden_size"] // n_heads, "head_dim"),
        d_mlp=count(raw["intermediate_size"], "intermediate_size"),
        d_vocab=count(raw["vocab_size"], "vocab_size"),
        n_ctx=count(raw["max_position_embeddings"], "max_position_embeddings"),
        tied_embeddings=bool(raw.get("tie_word_embeddings", False)),
    )


def _turned(raw: Mapping[str, Any], n_layers: int) -> list[bool]:
    """Which layers turn queries and keys by their places: in SmolLM3 all but every so many (NoPE, Yang et al. 2025)."""
    given = raw.get("no_rope_layers")
    if given is None and (every := raw.get("no_rope_layer_interval")):
        every = count(every, "no_rope_layer_interval")
        given = [(layer + 1) % every != 0 for layer in range(n_layers)]
    if given is None:
        return [True] * n_layers
    if not isinstance(given, list) or len(given) < n_layers or not {*given} <= {0, 1}:
        raise ValueError(f"no_rope_layers = {given!r:.60}")
    return [bool(value) for value in given[:n_layers]]


def _ropes(raw: Mapping[str, Any], d_head: int, turned: Sequence[bool]) -> tuple[Rope, ...]:
    rope = read_rope(raw, raw.get("rope_scaling") or raw.get("rope_parameters") or {}, d_head)
    return tuple(rope if rotates else Rope(0) for rotates in turned)


def _biases(raw: Mapping[str, Any], family: Family) -> tuple[str, ...]:
    asked = (part for key, parts in family.biased_by.items() if raw.get(key) for part in parts)
    return (*family.biases, *asked)


def _act(raw: Mapping[str, Any]) -> Act:
    given = raw.get("hidden_act", "silu")
    if given not in ACTS:
        raise ModelError(f"the activation {given!r} is not supported", f"Supported: {', '.join(ACTS)}.")
    return ACTS[given]


def _scale(raw: Mapping[str, Any], key: str) -> float:
    return number(raw.get(key, 1.0), key)


def _query_scale(raw: Mapping[str, Any], d_head: int) -> float:
    """What makes of the division by √d_head the factor that the family has for scores."""
    return 1.0 if raw.get("attention_multiplier") is None else _scale(raw, "attention_multiplier") * d_head**0.5
