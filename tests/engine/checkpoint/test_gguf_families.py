"""A GGUF file of each family, as llama.cpp's converter writes it, is the model that it was made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_holes.engine import selfcheck
from llm_holes.engine.checkpoint import store
from llm_holes.engine.checkpoint.gguf_architectures import ARCHITECTURES
from llm_holes.engine.engine import Engine
from tests.support import family_gguf

IDS = list(range(3, 60))


@pytest.mark.parametrize("variant", family_gguf.VARIANTS)
def test_the_logits_of_a_gguf_file_are_those_of_the_model_it_was_made_of(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    model: Any = family_gguf.model_for(variant)
    family_gguf.write(tmp_path / "m.gguf", model)
    engine = Engine.load(store.locate(str(tmp_path / "m.gguf"), lambda status: None), 1)
    with torch.no_grad():
        expected = model(torch.tensor([IDS])).logits[0]
    torch.testing.assert_close(engine.logits(IDS), expected, atol=1e-4, rtol=0)
    assert selfcheck.transformers_logits(engine, IDS).ok  # reads the folder that was made
    config = json.loads((Path(engine.files.folder) / "config.json").read_text())
    assert config["model_type"] == model.config.model_type.replace("mistral", "llama")
    assert config["architectures"] == [type(model).__name__.replace("Mistral", "Llama")]


def test_every_architecture_has_a_variant() -> None:
    families = {family_gguf.model_for(variant).config.model_type for variant in family_gguf.VARIANTS}
    assert {architecture.family for architecture in ARCHITECTURES.values()} <= families
