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
    that always have one, `biased_by` those that have one if the key says so. `mlp_ratio` is how much wider than the
    stream an FFN is where the config does not say; `scaled_embedding`: by the root of the stream's width.
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
    gated: bool = True
    mlp_ratio: int = 0
    learned_places: bool = False
    scaled_embedding: bool = False


GEMMA: Mapping[str, Any] = {
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
}
GEMMA_KEYS = frozenset(
    {
        "query_pre_attn_scalar",
        "final_logit_softcapping",
        "attn_logit_softcapping",
        "sliding_window_pattern",
        "cache_implementation",
    }
)
ROUTER_KEYS = frozenset({"num_experts_per_tok", "output_router_logits", "router_aux_loss_coef", "router_jitter_noise"})

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
    "phi3": Family(
        silent={"rms_norm_eps": 1e-5, "partial_rotary_factor": 1.0},
        keys=frozenset({"partial_rotary_factor", "original_max_position_embeddings"}),
        fixed={"full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": False},
        windows="all layers",
    ),
    "gemma2": Family(
        silent={
            **GEMMA,
            "sliding_window_pattern": 2,
            "final_logit_softcapping": 30.0,
            "attn_logit_softcapping": 50.0,
        },
        renamed={"hidden_activation": "hidden_act"},
        keys=GEMMA_KEYS,
        fixed={"use_bidirectional_attention": False},
        norms=(*PRE, *POST),
        biased_by={"attention_bias": ATTENTION},
        windows="mixed",
        scaled_embedding=True,
    ),
    "gemma3_text": Family(
        silent={**GEMMA, "sliding_window_pattern": 6, "rope_theta": 1e6, "rope_local_base_freq": 1e4},
        renamed={"hidden_activation": "hidden_act", "_sliding_window_pattern": "sliding_window_pattern"},
        keys=GEMMA_KEYS | {"rope_local_base_freq"},
        fixed={"use_bidirectional_attention": False},
        norms=(*PRE, *POST),
        qk_norm="each head",
        biased_by={"attention_bias": ATTENTION},
        windows="mixed",
        scaled_embedding=True,
    ),
    "gpt_neox": Family(
        silent={
            "hidden_act": "gelu",
            "rms_norm_eps": 1e-5,
            "attention_bias": True,
            "use_parallel_residual": True,
            "partial_rotary_factor": 0.25,
        },
        renamed={
            "layer_norm_eps": "rms_norm_eps",
            "rotary_pct": "partial_rotary_factor",
            "rotary_emb_base": "rope_theta",
        },
        keys=frozenset({"use_parallel_residual", "partial_rotary_factor"}),
        norm="layer",
        biases=("mlp.up_proj", "mlp.down_proj"),
        biased_by={"attention_bias": ATTENTION},
        gated=False,
    ),
    "gpt2": Family(
        silent={"hidden_act": "gelu_new", "rms_norm_eps": 1e-5, "tie_word_embeddings": True},
        renamed={
            "n_embd": "hidden_size",
            "n_layer": "num_hidden_layers",
            "n_head": "num_attention_heads",
            "n_positions": "max_position_embeddings",
            "n_inner": "intermediate_size",
            "activation_function": "hidden_act",
            "layer_norm_epsilon": "rms_norm_eps",
        },
        keys=frozenset(
            {
                "n_ctx",
                "summary_activation",
                "summary_first_dropout",
                "summary_proj_to_labels",
                "summary_type",
                "summary_use_proj",
            }
        ),
        fixed={
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "reorder_and_upcast_attn": False,
        },
        norm="layer",
        biases=(*ATTENTION, "mlp.up_proj", "mlp.down_proj"),
        gated=False,
        mlp_ratio=4,
        learned_places=True,
    ),
    "mixtral": Family(
        silent={
            "num_key_value_heads": 8,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1e6,
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "norm_topk_prob": True,
        },
        renamed={"num_local_experts": "num_experts"},
        keys=ROUTER_KEYS,
        windows="all layers",
    ),
    "qwen3_moe": Family(
        silent={
            "num_key_value_heads": 4,
            "rms_norm_eps": 1e-6,
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "norm_topk_prob": False,
            "intermediate_size": 768,
            "sliding_window": 4096,
        },
        renamed={"num_local_experts": "num_experts", "moe_intermediate_size": "intermediate_size"},
        keys=ROUTER_KEYS | {"num_experts", "norm_topk_prob"},
        fixed={"decoder_sparse_step": 1, "mlp_only_layers": []},
        qk_norm="each head",
        biased_by={"attention_bias": ATTENTION},
        windows="switched",
    ),
}
