"""The architectures of GGUF files that are read, and what llama.cpp makes of each, as data. Torch-free.

Where it is from: llama.cpp's converter (`conversion/*.py`) for what a file says, its loader (`src/models/*.cpp`) for
what no file says because it is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_holes.engine.checkpoint.gguf import File


class Architecture(msgspec.Struct, frozen=True):
    """A family as GGUF files have it. `transformers` is its class there, by which servers find it; `keys` are those of
    its metadata that others do not have, by the key of `config.json` that each stands for; `unsaid` is what llama.cpp
    takes where a file says nothing, or no file does.

    `interleaved`: the rows of queries and keys are in the order in which llama.cpp turns them, pair by pair.
    `window_every`: of so many layers one, the last, sees all positions.
    """

    family: str
    transformers: str
    keys: Mapping[str, str] = {}
    unsaid: Mapping[str, Any] = {}
    interleaved: bool = False
    window_every: int = 0


WINDOW = "attention.sliding_window"
GEMMA = {WINDOW: "sliding_window", "final_logit_softcapping": "final_logit_softcapping"}
EXPERTS = {"expert_count": "num_experts", "expert_used_count": "num_experts_per_tok"}
MIXTRAL = Architecture("mixtral", "MixtralForCausalLM", EXPERTS, interleaved=True)
"""Is called llama too, and has experts."""

ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture("llama", "LlamaForCausalLM", interleaved=True),
    "qwen2": Architecture("qwen2", "Qwen2ForCausalLM"),
    "qwen3": Architecture("qwen3", "Qwen3ForCausalLM"),
    "qwen3moe": Architecture("qwen3_moe", "Qwen3MoeForCausalLM", EXPERTS, {"norm_topk_prob": True}),
    "smollm3": Architecture("smollm3", "SmolLM3ForCausalLM", unsaid={"no_rope_layer_interval": 4}, interleaved=True),
    "olmo2": Architecture("olmo2", "Olmo2ForCausalLM"),
    "granite": Architecture(
        "granite",
        "GraniteForCausalLM",
        {
            "attention.scale": "attention_multiplier",
            "embedding_scale": "embedding_multiplier",
            "residual_scale": "residual_multiplier",
            "logit_scale": "logits_scaling",
        },
        interleaved=True,
    ),
    "phi3": Architecture("phi3", "Phi3ForCausalLM", {WINDOW: "sliding_window"}),
    "gemma2": Architecture(
        "gemma2",
        "Gemma2ForCausalLM",
        {**GEMMA, "attn_logit_softcapping": "attn_logit_softcapping"},
        {
            "hidden_act": "gelu_pytorch_tanh",
            "sliding_window": 4096,
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
        },
        window_every=2,
    ),
    "gemma3": Architecture(
        "gemma3_text", "Gemma3ForCausalLM", GEMMA, {"hidden_act": "gelu_pytorch_tanh"}, window_every=6
    ),
    "gptneox": Architecture(
        "gpt_neox",
        "GPTNeoXForCausalLM",
        {"use_parallel_residual": "use_parallel_residual"},
        {"hidden_act": "gelu", "use_parallel_residual": True},
    ),
    "gpt2": Architecture("gpt2", "GPT2LMHeadModel", unsaid={"hidden_act": "gelu_new"}),
}
"""By `general.architecture`."""


def known(file: File) -> Architecture | None:
    name = file.metadata.get("general.architecture")
    found = ARCHITECTURES.get(name) if isinstance(name, str) else None
    return MIXTRAL if name == "llama" and file.metadata.get("llama.expert_count") else found
