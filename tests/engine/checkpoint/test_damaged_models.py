"""Whatever is wrong in a model's files, it is one sentence, soon and in little memory, or the run of transformers."""

from __future__ import annotations

import random
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_holes.engine.checkpoint import store
from llm_holes.engine.checkpoint.plain import plain
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError, ModelError
from tests.support.memory import resident
from tests.support.mutations import Seeds
from tests.support.soak import examples

TEXT = "Alice was  beginning to get é very tired of 12 sitting 😀\n"
SECONDS, BYTES = 2, 300 * 2**20


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    return Seeds(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("kind", ["config", "tokenizer", "safetensors", "gguf"])
def test_a_damaged_model_is_one_sentence_or_the_run_of_transformers(
    kind: str, seeds: Seeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    outcomes: dict[str, int] = {}
    for seed in range(examples(25)):
        outcome = told(kind, seed, seeds, tmp_path / "m")
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        for folder in ("m", "cache"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
    print(kind, outcomes)
    assert outcomes["refused"] > 0
    assert outcomes["equal"] > 0


def told(kind: str, seed: int, seeds: Seeds, out: Path) -> str:
    """What became of one model: refused, equal to transformers, or (where transformers refuses it) run."""
    model = seeds.kinds[kind](random.Random(f"{kind}-{seed}"), out)
    case = f"{kind} {seed}"
    resident()
    before, start = resident(), time.process_time()
    error, run = tried(model)
    assert time.process_time() - start < SECONDS, case
    assert resident() - before < BYTES, case
    if error is not None:
        assert error.hint, case
        assert re.fullmatch(r"[^\n]{10,1000}", str(error)), f"{case}: {error}"
        return "refused"
    folder, ids, logits = run
    expected = reference(folder, ids)
    if isinstance(expected, str):
        return f"run, transformers: {expected}"
    assert ids == expected[0], case
    torch.testing.assert_close(logits, expected[1], atol=1e-3, rtol=1e-3, equal_nan=True, msg=case)
    return "equal"


def tried(model: Path) -> tuple[ModelError | InputError | None, Any]:
    """The sentence that refuses the model or the text, or else the folder in use, the ids and the logits."""
    try:
        engine = Engine.load(store.locate(str(model), lambda status: None), 1)
        ids = engine.encode(TEXT)
        return None, (Path(engine.files.folder), ids, engine.logits(ids))
    except (ModelError, InputError) as error:
        return error, None


def reference(folder: Path, ids: list[int]) -> tuple[list[int], torch.Tensor] | str:
    """The ids and the logits of transformers, or the name of the error it has with the model."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with plain(folder) as seen:
            tokenizer = AutoTokenizer.from_pretrained(seen)
            model = AutoModelForCausalLM.from_pretrained(seen, dtype=torch.float32, attn_implementation="eager")
            with torch.no_grad():
                return tokenizer(TEXT)["input_ids"], model.eval()(torch.tensor([ids])).logits[0]
    except Exception as error:
        return type(error).__name__
