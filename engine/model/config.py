"""The shape of a model, read from a Hugging Face `config.json`. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from llm_holes.engine.disk.files import read_json
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config_keys import refuse_unknown
from llm_holes.engine.model.config_numbers import count, number
from llm_holes.engine.model.families import FAMILIES, PRE, Family, Norm, QKNorm
from llm_holes.engine.model.quantized_formats import fp8_block
from llm_holes.engine.model.rope import Rope, read_rope
from llm_holes.engine.model.sizes import Sizes
from llm_holes.engine.model.windows import FULL, SLIDING, layer_kinds, read_window

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


class Router(msgspec.Struct, frozen=True):
    """A mixture of `experts`, of which each token gets `chosen`, with shares that add up to 1 if `renormalized`."""

    experts: int
    chosen: int
    renormalized: bool


class Config(Sizes, frozen=True):
    """What the decoder has to know of a model besides its weights.

    `biases` are the matrices of a layer that have one (`self_attn.q_proj`). For each layer, `ropes` says how queries
    and keys are turned, and `windows` how many positions a query sees, itself the last of them; None for all (Beltagy
    et al. 2020, Jiang et al. 2023). `norms` are the norms that a layer has. What the embedding, a query, each update
    and the logits are multiplied with is 1 in most models; scores are always divided by √d_head. Soft caps bend scores
    and logits so that none is larger. A `parallel` layer gives its FFN what it gave its attention. With a router, d_mlp
    counts the neurons of all experts.
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
    attn_softcap: float | None = None
    logit_softcap: float | None = None
    gated: bool = True
    parallel: bool = False
    learned_places: bool = False
    router: Router | None = None

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
        return checked(read_json(path), path)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}", "Give --model a folder with config.json in it."
        ) from None


def checked(raw: dict[str, Any], path: Path) -> Config:
    """The config in a parsed `config.json`, which was read from `path`. Raises ModelError."""
    try:
        return from_hugging_face(raw)
    except (LookupError, TypeError, ValueError, ArithmeticError, msgspec.MsgspecError) as error:
        raise ModelError(f"{path} lacks or garbles {error}", "Use an unchanged Hugging Face checkpoint.") from None


def from_hugging_face(raw: dict[str, Any]) -> Config:
    """The config in a parsed `config.json`. Raises ModelError for a model of another kind, LookupError, TypeError or
    ValueError for what is missing or no number."""
    name = str(raw["model_type"])
    if name not in FAMILIES:
        raise _unsupported(name, raw.get("text_config"))
    fp8_block(raw)
    family = FAMILIES[name]
    refuse_unknown(raw, family)
    raw = _spoken(raw, family)
    router = _router(raw)
    if router:
        count(router.experts * count(raw["num_hidden_layers"], "num_hidden_layers"), "experts in all layers")
    sizes = _sizes(raw, family, router)
    turned = _turned(raw, sizes.n_layers)
    window = read_window(raw, family)
    kinds = layer_kinds(raw, family, window, turned)
    return Config(
        **msgspec.structs.asdict(sizes),
        family=name,
        norm_eps=number(raw["rms_norm_eps"], "rms_norm_eps"),
        ropes=_ropes(raw, family, sizes.d_head, turned, kinds),
        biases=_biases(raw, family),
        windows=tuple(window if kind == SLIDING else None for kind in kinds),
        act=_act(raw),
        norm=family.norm,
        norms=family.norms,
        qk_norm=family.qk_norm,
        embedding_scale=sizes.d_model**0.5 if family.scaled_embedding else _scale(raw, "embedding_multiplier"),
        query_scale=_query_scale(raw, sizes.d_head),
        update_scale=_scale(raw, "residual_multiplier"),
        logit_scale=1 / _scale(raw, "logits_scaling"),
        attn_softcap=_softcap(raw, "attn_logit_softcapping"),
        logit_softcap=_softcap(raw, "final_logit_softcapping"),
        gated=family.gated,
        parallel=bool(raw.get("use_parallel_residual")),
        learned_places=family.learned_places,
        router=router,
    )


def _unsupported(name: str, text: Any) -> ModelError:
    known = f"Supported: {', '.join(FAMILIES)}."
    if not isinstance(text, dict):
        return ModelError(f"models of type {name!r} are not supported", known)
    return ModelError(
        f"models of type {name!r} are not supported: its text model, a {text.get('model_type')!r:.40}, is a part of it",
        f"{known} A GGUF file of such a model has that part alone.",
    )


def _spoken(raw: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """The config with what the family leaves unsaid, under the keys that others have."""
    own = {family.renamed[key]: value for key, value in raw.items() if key in family.renamed and value is not None}
    return {**family.silent, **raw, **own}


def _router(raw: Mapping[str, Any]) -> Router | None:
    if "num_experts" not in raw:
        return None
    experts = count(raw["num_experts"], "num_experts")
    chosen = count(raw["num_experts_per_tok"], "num_experts_per_tok")
    if chosen > experts:
        raise ValueError(f"num_experts_per_tok = {chosen}, of {experts} experts")
    return Router(experts, chosen, bool(raw["norm_topk_prob"]))


def _width(raw: Mapping[str, Any], family: Family, router: Router | None) -> int:
    """Neurons of an FFN, those of all experts if there are several."""
    if family.mlp_ratio and "intermediate_size" not in raw:
        return family.mlp_ratio * count(raw["hidden_size"], "hidden_size")
    return count(raw["intermediate_size"], "intermediate_size") * (router.experts if router else 1)


def _sizes(raw: Mapping[str, Any], family: Family, router: Router | None) -> Sizes:
    n_heads = count(raw["num_attention_heads"], "num_attention_heads")
    n_kv_heads = count(_given(raw, "num_key_value_heads", n_heads), "num_key_value_heads")
    if n_heads % n_kv_heads:
        raise ModelError(f"{n_heads} heads cannot share {n_kv_heads} key/value heads", "Check config.json.")
    d_model = count(raw["hidden_size"], "hidden_size")
    return Sizes(
        n_layers=count(raw["num_hidden_layers"], "num_hidden_layers"),
        d_model=d_model,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_head=count(_given(raw, "head_dim", d_model // n_heads), "head_dim"),
        d_mlp=_width(raw, family, router),
        d_vocab=count(raw["vocab_size"], "vocab_size"),
        n_ctx=count(raw["max_position_embeddings"], "max_position_embeddings"),
        tied_embeddings=bool(raw.get("tie_word_embeddings", False)),
    )


def _given(raw: Mapping[str, Any], key: str, default: Any) -> Any:
    """What the config says, or what is meant where it says nothing or null."""
    return default if raw.get(key) is None else raw[key]


def _turned(raw: Mapping[str, Any], n_layers: int) -> list[bool]:
    """Which layers turn queries and keys by their places: in SmolLM3 all but every so many (NoPE, Yang et al. 2025)."""
    given = raw.get("no_rope_layers")
    if given is None and (every := raw.get("no_rope_layer_interval")) is not None:
        every = count(every, "no_rope_layer_interval")
        given = [(layer + 1) % every != 0 for layer in range(n_layers)]
    if given is None:
        return [True] * n_layers
    if not isinstance(given, list) or len(given) < n_layers or not all(value in (0, 1) for value in given):
        raise ValueError(f"no_rope_layers = {given!r:.60}")
    return [bool(value) for value in given[:n_layers]]


def _ropes(
    raw: Mapping[str, Any], family: Family, d_head: int, turned: Sequence[bool], kinds: Sequence[str]
) -> tuple[Rope, ...]:
    """One for each layer; in Gemma 3 those with a window have another than the rest."""
    if family.learned_places:
        return (Rope(0),) * len(turned)
    given = raw.get("rope_scaling") or raw.get("rope_parameters") or {}
    by_kind = dict.fromkeys(kinds, given)
    if "rope_local_base_freq" in raw:
        local = number(raw["rope_local_base_freq"], "rope_local_base_freq")
        own = {SLIDING: {"rope_theta": local}, FULL: {}}
        if isinstance(given, dict) and {*given} <= {SLIDING, FULL}:
            by_kind = {kind: own[kind] | (given.get(kind) or {}) for kind in kinds}
        else:
            by_kind = {FULL: given, SLIDING: own[SLIDING]}
    ropes = {kind: read_rope(raw, by_kind[kind], d_head) for kind in {*kinds}}
    return tuple(ropes[kind] if rotates else Rope(0) for kind, rotates in zip(kinds, turned, strict=True))


def _biases(raw: Mapping[str, Any], family: Family) -> tuple[str, ...]:
    asked = (part for key, parts in family.biased_by.items() if raw.get(key) for part in parts)
    return (*family.biases, *asked)


def _act(raw: Mapping[str, Any]) -> Act:
    given = raw.get("hidden_act", "silu")
    if given not in ACTS:
        raise ModelError(f"the activation {given!r} is not supported", f"Supported: {', '.join(ACTS)}.")
    return ACTS[given]


def _scale(raw: Mapping[str, Any], key: str) -> float:
    return number(_given(raw, key, 1.0), key)


def _softcap(raw: Mapping[str, Any], key: str) -> float | None:
    return None if raw.get(key) is None else number(raw[key], key)


def _query_scale(raw: Mapping[str, Any], d_head: int) -> float:
    """What makes of the division by √d_head the factor that the family has for scores."""
    if (scalar := raw.get("query_pre_attn_scalar")) is not None:
        return math.sqrt(d_head / number(scalar, "query_pre_attn_scalar"))
    return 1.0 if raw.get("attention_multiplier") is None else _scale(raw, "attention_multiplier") * d_head**0.5
