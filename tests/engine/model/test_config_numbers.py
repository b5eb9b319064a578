"""Numbers of a config that no model has are refused by their name, whatever else the config says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import checked
from llm_holes.engine.model.config_numbers import RANGES
from tests.support import tiny_gguf

LLAMA: dict[str, Any] = tiny_gguf.CONFIG | {"head_dim": 16}
LLAMA3 = {"rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"rope_theta": 1e4},
    "mistral": {"sliding_window": 7},
    "qwen2": {"use_sliding_window": True, "max_window_layers": 1},
    "smollm3": {"no_rope_layer_interval": 2},
    "granite": dict.fromkeys(
        ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"), 0.5
    ),
    "phi3": {"partial_rotary_factor": 0.5},
    "gemma2": {
        "query_pre_attn_scalar": 16,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "sliding_window_pattern": 2,
    },
    "gemma3_text": {"rope_local_base_freq": 1e4},
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2},
}
BAD: list[Any] = [0, -1, True, False, float("nan"), float("inf"), -float("inf"), 10**30, "2", "", [2], [], {}]
NUMBERS = [
    (family, key)
    for family, own in FAMILIES.items()
    for key in (*LLAMA, *own)
    if key in RANGES and (family == "llama" or key in own)
]


def config(family: str, **changed: Any) -> dict[str, Any]:
    return LLAMA | FAMILIES[family] | {"model_type": family} | changed


def refused(raw: dict[str, Any], name: str) -> None:
    with pytest.raises(ModelError, match=re.escape(f"{name} = ")) as caught:
        checked(raw, Path("config.json"))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("family", "key"), NUMBERS)
def test_a_number_that_no_model_has_is_refused_by_its_name(family: str, key: str) -> None:
    checked(config(family), Path("config.json"))
    for value in BAD:
        if key != "max_window_layers" or value != 0 or isinstance(value, bool):
            refused(config(family, **{key: value}), key)
    if RANGES[key].whole:
        refused(config(family, **{key: 1.5}), key)
        refused(config(family, **{key: RANGES[key].high + 1}), key)


@pytest.mark.parametrize("key", ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"])
def test_so_is_one_of_a_stretched_rotation(key: str) -> None:
    checked(config("llama", rope_scaling=LLAMA3), Path("config.json"))
    for value in BAD:
        refused(config("llama", rope_scaling=LLAMA3 | {key: value}), key)


def test_every_range_is_tried_here() -> None:
    elsewhere = {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}
    elsewhere |= {"experts in all layers", "weight_block_size", "lora_alpha"}
    assert {key for _, key in NUMBERS} | elsewhere == {*RANGES}


def test_experts_are_counted_in_all_layers() -> None:
    refused(config("qwen3_moe", num_hidden_layers=2_000, num_experts=2_000), "experts in all layers")


@pytest.mark.parametrize("value", [0, 1.5, True, 10**30])
def test_the_blocks_of_fp8_have_a_size(value: Any) -> None:
    quantized = {"quant_method": "fp8", "weight_block_size": [value, 128]}
    refused(config("llama", quantization_config=quantized), "weight_block_size")
