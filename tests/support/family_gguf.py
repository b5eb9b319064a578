"""A model of transformers as the GGUF file that llama.cpp's converter makes of it, with a vocabulary of bytes.

Written after `conversion/*.py` of llama.cpp, family by family, and not after our reader.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np
import torch
from gguf import GGUFWriter
from safetensors.torch import load_file

from tests.support import tiny_gguf
from tests.support.tiny_models import LLAMA3_ROPE, reference

ARCHITECTURES = {
    "mistral": "llama",
    "mixtral": "llama",
    "qwen3_moe": "qwen3moe",
    "gemma3_text": "gemma3",
    "gpt_neox": "gptneox",
}
PERMUTED = ("llama", "granite", "smollm3")
VARIANTS: dict[str, dict[str, Any]] = {
    "llama-bias": {},
    "llama-rope3": {"rope_parameters": {**LLAMA3_ROPE, "original_max_position_embeddings": 8192}},
    "llama-linear": {},
    "llama-mqa-tied": {},
    "mistral": {},
    "qwen2": {},
    "qwen3": {},
    "smollm3": {"no_rope_layer_interval": 4, "num_hidden_layers": 5},
    "olmo2": {},
    "granite": {},
    "granite-tied": {},
    "phi3": {},
    "phi3-part-window": {},
    "gemma2-window": {"query_pre_attn_scalar": 16, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    "gemma3-window": {"query_pre_attn_scalar": 16, "sliding_window_pattern": 6, "num_hidden_layers": 7},
    "gemma3-linear": {"query_pre_attn_scalar": 16, "sliding_window_pattern": 6, "num_hidden_layers": 7},
    "neox": {},
    "neox-in-turn": {"attention_bias": True, "tie_word_embeddings": False},
    "gpt2": {},
    "mixtral": {},
    "qwen3moe-renormalized": {},
}
"""Those of `tiny_models` that llama.cpp has a converter for, with what it takes for granted."""


def model_for(variant: str) -> Any:
    sizes = {"vocab_size": len(tiny_gguf.vocabulary()), "bos_token_id": 1, "eos_token_id": 2}
    return reference(variant, **{**sizes, **VARIANTS[variant]})


def write(path: Path, model: Any) -> None:
    config: dict[str, Any] = model.config.to_dict()
    name = ARCHITECTURES.get(config["model_type"], config["model_type"])
    writer = GGUFWriter(path, name)
    _numbers(writer, name, model.config)
    tiny_gguf.add_tokenizer(writer)
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        stored = load_file(Path(folder) / "model.safetensors")
    kind = next(kind for kind, known in gguf.MODEL_ARCH_NAMES.items() if known == name)
    names = gguf.get_tensor_name_map(kind, model.config.num_hidden_layers)
    for there, w in _stacked(stored).items():
        made = names.get_name(there, (".weight", ".bias"))
        assert made, there
        writer.add_tensor(made, np.ascontiguousarray(_modified(name, there, w, model.config).numpy()))
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", _rope_factors(rope, model.config.head_dim))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _numbers(writer: GGUFWriter, name: str, config: Any) -> None:
    """The base class's and the family's `set_gguf_parameters`."""
    heads = config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(heads)
    if name == "gpt2":
        writer.add_feed_forward_length(4 * config.n_embd)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    writer.add_feed_forward_length(config.intermediate_size)
    rope = config.rope_parameters
    if name == "gptneox":
        writer.add_rope_dimension_count(int(rope["partial_rotary_factor"] * (config.hidden_size // heads)))
        writer.add_parallel_residual(config.use_parallel_residual)
        writer.add_layer_norm_eps(config.layer_norm_eps)
        return
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_file_type(0)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    if name == "phi3":
        writer.add_rope_dimension_count(int(rope.get("partial_rotary_factor", 1.0) * config.hidden_size) // heads)
        writer.add_rope_scaling_orig_ctx_len(config.max_position_embeddings)
        writer.add_rope_freq_base(rope["rope_theta"])
        writer.add_sliding_window(config.sliding_window or 0)
        return
    if name == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    else:
        whole = rope.get("full_attention", rope)
        if whole["rope_type"] == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(whole["factor"])
        writer.add_rope_freq_base(whole["rope_theta"])
        if "sliding_attention" in rope:
            writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
    if name != "granite":
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if name in ("gemma2", "gemma3"):
        writer.add_sliding_window(config.sliding_window)
    if name in PERMUTED:
        writer.add_vocab_size(config.vocab_size)
        writer.add_rope_dimension_count(head_dim)
    if name == "granite":
        writer.add_attention_scale(config.attention_multiplier)
        writer.add_embedding_scale(config.embedding_multiplier)
        writer.add_residual_scale(config.residual_multiplier)
        writer.add_logit_scale(config.logits_scaling)
    if (experts := getattr(config, "num_local_experts", None)) is not None:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if name == "qwen3moe":
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)


def _stacked(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each matrix of all experts as one tensor of three dimensions."""
    found: dict[str, Any] = {}
    for name in sorted(stored, key=lambda name: [int(n) for n in re.findall(r"\d+", name)]):
        if expert := re.fullmatch(r"(.+\.experts)\.\d+(\..+)", name):
            whole = re.sub(r"model\.(.+)\.block_sparse_moe", r"\1.feed_forward", expert[1])
            found.setdefault(whole + expert[2], []).append(stored[name])
        else:
            found[name] = stored[name]
    return {name: torch.stack(w) if isinstance(w, list) else w for name, w in found.items()}


def _modified(name: str, there: str, w: torch.Tensor, config: Any) -> torch.Tensor:
    """The family's `modify_tensors`."""
    if name in PERMUTED and (turned := re.search(r"\.([qk])_proj\.(weight|bias)$", there)):
        heads = config.num_attention_heads if turned[1] == "q" else config.num_key_value_heads
        return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)
    if name in ("gemma2", "gemma3") and there.endswith("norm.weight"):
        return w + 1
    if name == "gpt2" and there.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return w.T
    if name == "gptneox" and "query_key_value" in there:
        parts = w.reshape(config.num_attention_heads, 3, -1, *w.shape[1:])
        return torch.cat([parts[:, part].reshape(-1, *w.shape[1:]) for part in range(3)])
    return w


def _rope_factors(rope: dict[str, Any], head_dim: int) -> Any:
    factors = []
    low, high, context = rope["low_freq_factor"], rope["high_freq_factor"], 8192
    for freq in 1.0 / (rope["rope_theta"] ** (np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)):
        wavelength = 2 * math.pi / freq
        if wavelength < context / high:
            factors.append(1.0)
        elif wavelength > context / low:
            factors.append(rope["factor"])
        else:
            smooth = (context / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, np.float32)
