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
}
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
}


def reference(variant: str) -> Any:
    """A transformers model with random weights, every vector of it (norms and biases too) away from its default."""
    import transformers

    name = CLASSES[variant.split("-")[0]]
    config_class, model_class = (getattr(transformers, name.format(kind)) for kind in ("Config", "ForCausalLM"))
    torch.manual_seed(1)
    model = model_class(config_class(**{**SIZES, **VARIANTS[variant]}, attn_implementation="eager")).eval()
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
