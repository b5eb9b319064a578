"""The families of models that the decoder runs: what sets each apart from Llama, as data. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Norm = Literal["rms", "layer"]
QKNorm = Literal["none", "each head", "all heads"]
Windows = Literal["none", "all layers", "switched", "mixed"]

PRE = ("input_layernorm", "post_attention_layernorm")
POST = ("post_self_attn_layernorm", "post_mlp_layernorm")
QKV = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
ATTENTION = (*QKV, "self_attn.o_proj")
MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


class Family(msgspec.Struct, frozen=True):
    """What a family's `config.json` says, and what it does not say because all models of the family have it.

    `silent` is what transformers takes where the config says nothing, `renamed` are the family's own names for keys
    that others have too, `keys` are the keys nobody else has, of which those in `fixed` are read with one value only.
    `norms` are those of a layer: before attention and FFN (PRE), or on what they add (POST). `biases` are the matrices
    that always have one, `biased_by` those that have one if the key says so.
    """

    silent: Mapping[str, Any] = {}
    renamed: Mapping[str, str] = {}
    keys: frozenset[str] = frozenset()
    fixed: Mapping[str, Any] = {}
    norm: Norm = "rms"
    norms: tuple[str, ...] = PRE
    qk_norm: QKNorm = "none"
    biases: tuple[str, ...] = ()
    biased_by: Mapping[str, tuple[str, ...]] = {}
    windows: Windows = "none"


FAMILIES: Mapping[str, Family] = {
    "llama": Family(biased_by={"attention_bias": ATTENTION, "mlp_bias": MLP}),
    "mistral": Family(silent={"num_key_value_heads": 8, "sliding_window": 4096}, windows="all layers"),
    "qwen2": Family(
        silent={"num_key_value_heads": 32, "sliding_window": 4096, "max_window_layers": 28},
        biases=QKV,
        windows="switched",
    ),
    "qwen3": Family(
        silent={"num_key_value_heads": 32, "head_dim": 128, "sliding_window": 4096, "max_window_layers": 28},
        qk_norm="each head",
        biased_by={"attention_bias": ATTENTION},
        windows="switched",
    ),
    "smollm3": Family(
        silent={"num_key_value_heads": 4, "tie_word_embeddings": True, "rope_theta": 2e6, "no_rope_layer_interval": 4},
        keys=frozenset({"no_rope_layers", "no_rope_layer_interval"}),
        biased_by={"attention_bias": ATTENTION, "mlp_bias": MLP},
        windows="switched",
    ),
    "olmo2": Family(
        silent={"rms_norm_eps": 1e-5},
        norms=POST,
        qk_norm="all heads",
        biased_by={"attention_bias": ATTENTION},
    ),
    "granite": Family(
        silent={"rms_norm_eps": 1e-6, "attention_multiplier": 1.0},
        keys=frozenset({"embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"}),
        biased_by={"attention_bias": ATTENTION, "mlp_bias": MLP},
    ),
}
