"""A folder that transformers saved of each family is read as transformers reads it: whole, in parts, in bf16."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_holes.engine import selfcheck
from llm_holes.engine.checkpoint.layouts import shapes
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import from_hugging_face
from tests.support.tiny_families import FAMILIES, loaded, write_family

IDS = list(range(3, 40))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("variant", FAMILIES)
def test_shards_in_bf16_are_what_transformers_makes_of_them(variant: str, tmp_path: Path) -> None:
    folder = write_family(tmp_path / "m", variant, shard="40KB", dtype=torch.bfloat16)
    assert len([*folder.glob("*.safetensors")]) > 1
    engine = loaded(folder)
    assert selfcheck.transformers_logits(engine, IDS).ok
    assert {name: tuple(w.shape) for name, w in engine.model.weights.items()} == shapes(engine.model.config)


def test_a_mixture_of_very_many_experts_in_one_file_is_read(tmp_path: Path) -> None:
    """transformers saves up to 50 GB in one file, each matrix of each expert as a tensor."""
    folder = write_family(tmp_path / "m", "qwen3moe", num_experts=250, moe_intermediate_size=4)
    engine = loaded(folder)
    assert engine.model.config.d_mlp == 1000
    assert selfcheck.transformers_logits(engine, IDS).ok


def test_the_body_of_a_model_saved_on_its_own_is_read(tmp_path: Path) -> None:
    """As the files of GPT-2 on the hub have it."""
    from safetensors.torch import load_file, save_file

    folder = write_family(tmp_path / "m", "gpt2")
    path = folder / "model.safetensors"
    whole = loaded(folder).logits(IDS)
    bare = {name.removeprefix("transformer."): w for name, w in load_file(path).items()}
    save_file(bare | {"h.0.attn.bias": torch.ones(1, 1, 8, 8)}, path, {"format": "pt"})
    assert torch.equal(loaded(folder).logits(IDS), whole)


CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {"model_type": "gpt2", "n_embd": 48, "n_layer": 2, "n_head": 6, "n_positions": 64, "vocab_size": 97},
    "neox": {
        "model_type": "gpt_neox",
        "hidden_size": 64,
        "intermediate_size": 99,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "vocab_size": 97,
        "max_position_embeddings": 64,
    },
}


def test_what_an_older_config_leaves_unsaid_is_what_transformers_takes() -> None:
    gpt2, neox = (from_hugging_face({**CONFIGS[name]}) for name in ("gpt2", "neox"))
    assert (gpt2.d_mlp, gpt2.act, gpt2.tied_embeddings, gpt2.norm_eps) == (192, "gelu_tanh", True, 1e-5)
    assert (neox.ropes[0].dims, neox.act, neox.parallel, neox.tied_embeddings) == (4, "gelu", True, False)
    assert from_hugging_face({**CONFIGS["neox"], "rotary_pct": 1.0, "rotary_emb_base": 500}).ropes[0].rope_theta == 500


def test_the_older_spelling_of_gemma_3_is_the_newer_one(tmp_path: Path) -> None:
    folder = write_family(tmp_path / "m", "gemma3-linear")
    path = folder / "config.json"
    newer = json.loads(path.read_text())
    older = {key: value for key, value in newer.items() if key not in ("rope_parameters", "layer_types")}
    older |= {"rope_theta": 1e5, "rope_local_base_freq": 500.0, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}
    older["sliding_window_pattern"] = older.pop("_sliding_window_pattern")
    assert from_hugging_face(older) == from_hugging_face(newer)
    assert {rope.rope_theta for rope in from_hugging_face(newer).ropes} == {500.0, 1e5}


@pytest.mark.parametrize(
    ("variant", "changed", "named"),
    [
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ("gemma2-window", {"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ("gemma2-window", {"attn_logit_softcapping": -1.0}, "attn_logit_softcapping"),
        ("phi3", {"rope_scaling": {"type": "longrope", "long_factor": [1.0], "short_factor": [1.0]}}, "longrope"),
        ("phi3", {"full_attn_mod": 1, "lm_head_bias": False, "interpolate_factor": 2}, "interpolate_factor"),
        ("phi3", {"quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 32]}}, "FP8"),
        ("qwen3moe", {"mlp_only_layers": [0]}, "mlp_only_layers"),
        ("mixtral", {"num_experts_per_tok": 99}, "num_experts_per_tok"),
        ("smollm3", {"no_rope_layers": [1]}, "no_rope_layers"),
        ("granite", {"logits_scaling": 0}, "logits_scaling"),
        ("olmo2", {"residual_multiplier": 0.5}, "residual_multiplier"),
        ("neox", {"rope_parameters": None, "rotary_pct": 3.0}, "partial_rotary_factor"),
        ("neox", {"rope_parameters": None, "rotary_pct": 0.2}, "rotated in pairs"),
    ],
)
def test_what_no_model_of_the_family_has_is_refused_by_its_name(
    variant: str, changed: dict[str, Any], named: str, tmp_path: Path
) -> None:
    folder = write_family(tmp_path / "m", variant)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ModelError) as caught:
        loaded(folder)
    assert named in str(caught.value)
    assert caught.value.hint
