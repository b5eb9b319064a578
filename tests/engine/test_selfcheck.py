"""Our decoder against transformers' own on the default model, and the self-checks `llm-holes doctor` prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_holes.engine import selfcheck
from llm_holes.engine.checkpoint.store import locate
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Table
from llm_holes.engine.model.decoder import Decoder
from llm_holes.lessons.shared.passage import passage
from llm_holes.tui.cli.doctor import failures
from tests.support import tiny_gguf
from tests.support import tokenizer_kinds as kinds


def test_logits_equal_transformers_on_the_default_model(engine: Engine) -> None:
    from transformers import LlamaForCausalLM

    reference = LlamaForCausalLM.from_pretrained(engine.files.folder, dtype=torch.float32, attn_implementation="eager")
    ids = engine.encode(passage())[:200]
    with torch.no_grad():
        expected = reference.eval()(torch.tensor([ids])).logits[0]
    assert (engine.logits(ids) - expected).abs().max().item() <= 1e-4


def test_every_self_check_holds(engine: Engine) -> None:
    final = list(selfcheck.run(engine, {}))[-1]
    assert final.measured["failed"] == 0
    assert len(final.measured) == len(selfcheck.CHECKS) + 1


def test_a_wrong_model_fails_the_self_checks(engine: Engine) -> None:
    """A decoder that forgets to scale its scores must not pass as the real one."""
    q = {n: w * 1.01 for n, w in engine.model.weights.items() if "q_proj" in n}
    wrong = replace(engine, model=Decoder(engine.model.config, {**engine.model.weights, **q}))
    assert not selfcheck.transformers_logits(wrong, wrong.encode(selfcheck.TEXT)).ok


def tiny_engine(folder: Path, **config: Any) -> Engine:
    tiny_gguf.write_folder(folder, **config)
    (folder / "tokenizer_config.json").unlink()  # neither an end token nor a chat template
    return Engine.load(locate(str(folder), lambda status: None), threads=1)


def test_a_check_that_raises_says_so_in_its_line_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such\nlayout")

    engine = tiny_engine(tmp_path / "m")
    monkeypatch.setattr(selfcheck, "quantize", fail)
    final = list(selfcheck.run(engine, {}))[-1]
    (table,) = final.views
    assert isinstance(table, Table)
    assert len(table.rows) == len(selfcheck.CHECKS)
    assert [row[3] for row in table.rows if str(row[0]).startswith("4-bit")] == ["FAILED: RuntimeError: no such layout"]
    assert final.measured["failed"] == 1
    assert failures(final) == ["4-bit rounding error, in steps"]


@pytest.mark.parametrize("config", [{}, {"eos_token_id": None}, {"max_position_embeddings": 16}])
def test_the_self_checks_hold_without_an_end_token_or_a_template(tmp_path: Path, config: dict[str, Any]) -> None:
    final = list(selfcheck.run(tiny_engine(tmp_path / "m", **config), {}))[-1]
    assert failures(final) == []


def test_a_tokenizer_that_fails_is_told_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tiny_engine(tmp_path / "m")
    monkeypatch.setattr(engine.tokenizer, "encode", lambda text: 1 // 0)
    frames = list(selfcheck.run(engine, {}))
    assert len(frames) == len(selfcheck.CHECKS)
    assert "texts that change on the way to ids and back" in failures(frames[-1])
    assert "model files that differ from their checksum" not in failures(frames[-1])


@pytest.mark.parametrize("kind", ["space_bpe", "unigram"])
def test_every_self_check_holds_where_the_tokenizer_is_of_sentencepiece(kind: str, tmp_path: Path) -> None:
    folder = kinds.write_model(tmp_path / "m", getattr(kinds, kind)(), {"tokenizer_class": "PreTrainedTokenizerFast"})
    engine = Engine.load(locate(str(folder), lambda status: None), threads=1)
    assert engine.tokenizer.in_front("hello") == " "
    assert engine.encode("hello") == engine.tokenizer.encode_whole("hello")
    assert list(selfcheck.run(engine, {}))[-1].measured["failed"] == 0


def test_a_difference_among_very_large_logits_counts_in_proportion_to_them(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = tiny_gguf.write_folder(tmp_path / "m") / "model.safetensors"
    weights = load_file(path)
    save_file(weights | {"lm_head.weight": weights["lm_head.weight"] * 1e3}, path, {"format": "pt"})
    engine = Engine.load(locate(str(tmp_path / "m"), lambda status: None), 1)
    ids = list(range(5, 90))
    assert engine.logits(ids).abs().max() > 1e4
    assert selfcheck.transformers_logits(engine, ids).ok
    name = "model.layers.1.mlp.down_proj.weight"
    slightly = {name: engine.model.weights[name] * 1.0001}
    wrong = replace(engine, model=replace(engine.model, weights={**engine.model.weights, **slightly}))
    assert not selfcheck.transformers_logits(wrong, ids).ok
