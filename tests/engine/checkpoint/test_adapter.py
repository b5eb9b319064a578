"""A LoRA adapter is merged into its base where that is on this machine; anything else about it is one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm_holes.engine.checkpoint import installed, store
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import ModelError
from tests.support import tiny_gguf

Q, DOWN = "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.down_proj"
SHAPES = {Q: (64, 64), DOWN: (64, 96)}
RANK = 4


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def quiet(status: object) -> None:
    pass


def matrices(dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    found = {}
    for name, (rows, columns) in SHAPES.items():
        found[f"base_model.model.{name}.lora_A.weight"] = torch.randn(RANK, columns).to(dtype)
        found[f"base_model.model.{name}.lora_B.weight"] = torch.randn(rows, RANK).to(dtype)
    return found


def adapter(folder: Path, base: str, weights: dict[str, torch.Tensor] | None = None, **config: Any) -> Path:
    folder.mkdir()
    told = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8, "bias": "none", "target_modules": ["q_proj"]}
    told |= {"base_model_name_or_path": base, "task_type": "CAUSAL_LM", "inference_mode": True}
    (folder / "adapter_config.json").write_text(json.dumps(told | config))
    save_file(matrices() if weights is None else weights, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("dtype", "config", "scales"),
    [
        (torch.float32, {}, {Q: 2.0, DOWN: 2.0}),
        (torch.bfloat16, {"use_rslora": True}, {Q: 4.0, DOWN: 4.0}),
        (torch.float16, {"alpha_pattern": {"q_proj": 2}}, {Q: 0.5, DOWN: 2.0}),
    ],
)
def test_it_changes_the_matrices_it_was_trained_for_and_no_other(
    dtype: torch.dtype, config: dict[str, Any], scales: dict[str, float], tmp_path: Path
) -> None:
    tiny_gguf.write_folder(tmp_path / "base")
    before = load_file(tmp_path / "base" / "model.safetensors")
    files = store.locate(str(adapter(tmp_path / "lora", "../base", matrices(dtype), **config)), quiet)
    assert files.name == "lora"
    assert "merged into" in files.source
    for name, found in Engine.load(files, 1).model.weights.items():
        module, expected = name.removesuffix(".weight"), before[name]
        if module in SHAPES:
            a, b = (matrices(dtype)[f"base_model.model.{module}.lora_{m}.weight"].float() for m in "AB")
            expected = expected + scales[module] * (b @ a)
        torch.testing.assert_close(found, expected, msg=name)
    assert installed.verify(files) == []


def test_the_base_comes_from_the_hugging_face_cache_and_the_tokenizer_from_the_adapter(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--me--base" / "snapshots" / "abc"
    tiny_gguf.write_folder(snapshot)
    folder = adapter(tmp_path / "lora", "me/base")
    assert Engine.load(store.locate(str(folder), quiet), 1).tokenizer.has_chat
    (folder / "tokenizer.json").write_bytes((snapshot / "tokenizer.json").read_bytes())
    (folder / "adapter_config.json").touch()  # a change makes it be merged anew
    assert not Engine.load(store.locate(str(folder), quiet), 1).tokenizer.has_chat


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"peft_type": "LOHA"}, "only those of type LORA"),
        ({"base_model_name_or_path": None}, "does not name"),
        ({"base_model_name_or_path": "me/elsewhere"}, "me/elsewhere, which is not on this machine"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"lora_alpha": "x"}, "lora_alpha"),
        ({"fan_in_fan_out": True}, "by a matrix of"),
    ],
)
def test_what_is_not_merged_here_is_named(config: dict[str, Any], said: str, tmp_path: Path) -> None:
    tiny_gguf.write_folder(tmp_path / "base")
    folder = adapter(tmp_path / "lora", "../base", **config)
    with pytest.raises(ModelError, match=said) as caught:
        store.locate(str(folder), quiet)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("base_model.model.model.layers.9.mlp.down_proj.lora_A.weight", (4, 96), "only one of the two"),
        ("base_model.model.model.embed_tokens.lora_embedding_A", (4, 266), "lora_embedding_A"),
        (f"base_model.model.{Q}.lora_A.weight", (4, 96), "by a matrix of"),
        (f"base_model.model.{Q}.lora_A.weight", (5, 64), "by a matrix of"),
    ],
)
def test_matrices_that_do_not_fit_are_named(name: str, shape: tuple[int, ...], said: str, tmp_path: Path) -> None:
    tiny_gguf.write_folder(tmp_path / "base")
    folder = adapter(tmp_path / "lora", "../base", matrices() | {name: torch.ones(shape)})
    with pytest.raises(ModelError, match=said):
        store.locate(str(folder), quiet)
