"""What is on this machine is listed with where it came from, and with the sentence that says why it would not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_holes.engine.checkpoint import listing, store
from llm_holes.tui.cli.main import main
from tests.support import tiny_gguf


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def snapshot(hub: Path, name: str) -> Path:
    folder = hub / f"models--me--{name}" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    return folder


def test_models_of_both_caches_are_listed_with_what_would_run(hub: Path, tmp_path: Path) -> None:
    tiny_gguf.write_gguf(tmp_path / "own.gguf")
    store.locate(str(tmp_path / "own.gguf"), lambda status: None)
    tiny_gguf.write_folder(snapshot(hub, "runs"))
    tiny_gguf.write_gguf(snapshot(hub, "gguf") / "m.gguf")
    tiny_gguf.write_gguf(snapshot(hub, "other-gguf") / "m.gguf", "mamba")
    tiny_gguf.write_folder(snapshot(hub, "mamba"), model_type="mamba")
    (snapshot(hub, "tokenizer-only") / "tokenizer.json").write_text("{}")
    for name, base in (("adapter", "me/runs"), ("adapter-alone", "me/nowhere")):
        folder = snapshot(hub, name)
        (folder / "adapter_model.safetensors").write_bytes(b"")
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": base}))
    found = {model.name: model for model in listing.models()}
    assert found["own"].source == str(tmp_path / "own.gguf")
    assert found["me/runs"].source == "the Hugging Face cache, revision abc"
    assert found["me/runs"].bytes > 300_000
    assert {name for name, model in found.items() if not model.problem} == {"own", "me/runs", "me/gguf", "me/adapter"}
    assert "mamba" in found["me/mamba"].problem
    assert "mamba" in found["me/other-gguf"].problem
    assert "no model.safetensors" in found["me/tokenizer-only"].problem
    assert "me/nowhere, which is not on this machine" in found["me/adapter-alone"].problem
    for name in ("me/runs", "me/gguf"):
        assert store.locate(name, lambda status: None).folder


def test_the_command_prints_them(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_gguf.write_folder(snapshot(hub, "runs"))
    tiny_gguf.write_folder(snapshot(hub, "mamba"), model_type="mamba")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("me/mamba")
    assert lines[2].startswith("    would not run: ")
    assert lines[5] == "    would run"
    assert main(["models", "--json"]) == 0
    assert [bool(model["problem"]) for model in json.loads(capsys.readouterr().out)] == [True, False]
