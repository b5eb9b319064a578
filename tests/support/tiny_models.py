"""Tiny random models made by transformers itself, and the same weights in our decoder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file

from llm_holes.engine.model.config import from_hugging_face
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.weights import rearranged, tied

SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 64,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
MULTIPLIERS = {
    "embedding_multiplier": 3.0,
    "attention_multiplier": 0.2,
    "residual_multiplier": 0.4,
    "logits_scaling": 2.0,
}
CLASSES = {
    "llama": "Llama{}",
    "mistral": "Mistral{}",
    "qwen2": "Qwen2{}",
    "qwen3": "Qwen3{}",
    "smollm3": "SmolLM3{}",
    "olmo2": "Olmo2{}",
    "granite": "Granite{}",
    "phi3": "Phi3{}",
    "gemma2": "Gemma2{}",
    "gemma3": "Gemma3{}",
    "neox": "GPTNeoX{}",
    "gpt2": "GPT2{}",
    "mixtral": "Mixtral{}",
    "qwen3moe": "Qwen3Moe{}",
}
GEMMA3_ROPE = {
    "full_attention": {"rope_type": "linear", "rope_theta": 1e5, "factor": 4.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
}
NEOX = {"head_dim": None, "hidden_size": 96, "num_key_value_heads": None}
GPT2 = {"n_embd": 48, "n_layer": 3, "n_head": 6, "n_positions": 64}
QWEN3_MOE = {"num_experts": 6, "num_experts_per_tok": 3, "moe_intermediate_size": 20}
VARIANTS: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama-bias": {"attention_bias": True},
    "llama-mha": {"num_key_value_heads": 6},
    "llama-mqa-tied": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "llama-rope3": {"rope_parameters": LLAMA3_ROPE},
    "llama-linear": {"rope_parameters": {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.0}},
    "mistral": {"sliding_window": None},
    "mistral-window": {"sliding_window": 7},
    "qwen2": {},
    "qwen2-window": {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
    "qwen3": {},
    "qwen3-window": {
        "use_sliding_window": True,
        "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "smollm3": {"no_rope_layer_interval": 2, "pad_token_id": 0},
    "smollm3-window": {
        "no_rope_layers": [0, 1, 0],
        "pad_token_id": 0,
        "use_sliding_window": True,
        "sliding_window": 7,
        "tie_word_embeddings": False,
    },
    "olmo2": {"head_dim": 8},
    "olmo2-tied-bias": {"head_dim": 8, "tie_word_embeddings": True, "attention_bias": True},
    "granite": {"head_dim": 8, **MULTIPLIERS},
    "granite-tied": {"head_dim": 8, "tie_word_embeddings": True, "mlp_bias": True, **MULTIPLIERS},
    "phi3": {"head_dim": 8, "pad_token_id": 0},
    "phi3-part-window": {
        "head_dim": 8,
        "pad_token_id": 0,
        "sliding_window": 7,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
    },
    "gemma2-window": {"sliding_window": 5, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 2.0},
    "gemma2-untied": {"tie_word_embeddings": False, "final_logit_softcapping": 3.0},
    "gemma3-window": {"sliding_window": 5, "sliding_window_pattern": 2, "query_pre_attn_scalar": 24},
    "gemma3-linear": {"rope_parameters": GEMMA3_ROPE, "sliding_window_pattern": 2},
    "neox": NEOX,
    "neox-in-turn": {**NEOX, "use_parallel_residual": False, "attention_bias": False, "tie_word_embeddings": True},
    "gpt2": GPT2,
    "gpt2-untied": {**GPT2, "n_inner": 40, "tie_word_embeddings": False},
    "mixtral": {"num_local_experts": 5},
    "mixtral-window": {"num_local_experts": 3, "sliding_window": 7, "tie_word_embeddings": True},
    "qwen3moe": QWEN3_MOE,
    "qwen3moe-renormalized": {**QWEN3_MOE, "norm_topk_prob": True},
}


def reference(variant: str, **more: Any) -> Any:
    """A transformers model with random weights, every vector of it (norms and biases too) away from its default. `more`
    are keys of its config."""
    import transformers

    name = CLASSES[variant.split("-")[0]]
    config_class = getattr(transformers, name.format("TextConfig" if name.startswith("Gemma3") else "Config"))
    model_class = getattr(transformers, name.format("LMHeadModel" if name.startswith("GPT2") else "ForCausalLM"))
    sizes = {"vocab_size": SIZES["vocab_size"]} if name.startswith("GPT2") else SIZES
    given = {**sizes, **VARIANTS[variant], **more}
    arguments = {key: value for key, value in given.items() if value is not None or key == "sliding_window"}
    torch.manual_seed(1)
    model = model_class(config_class(**arguments, attn_implementation="eager")).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def ours(model: Any) -> Decoder:
    """The same model here, read from the tensors that transformers saves."""
    config = from_hugging_face(model.config.to_dict())
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        stored = load_file(Path(folder) / "model.safetensors")
    return Decoder(*tied(config, rearranged(config, stored)))


def digest(model: Decoder) -> str:
    """A hash of all weights."""
    sha = hashlib.sha256()
    for name in sorted(model.weights):
        sha.update(model.weights[name].numpy().tobytes())
    return sha.hexdigest()
