"""The lessons inside the model also run on another one: two layers, four heads, a vocabulary of bytes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from tests.support import tiny_gguf
from tests.support import tokenizer_kinds as kinds

LESSONS = (
    "prefill-decode",
    "model-layers",
    "hidden-states",
    "ffn",
    "attention",
    "multi-head-attention",
    "sparse-attention",
    "attention-approximations",
    "mqa-gqa",
    "quantization",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tiny_gguf.write_folder(tmp_path_factory.mktemp("small") / "mine")
    return Engine.load(store.locate(str(folder), lambda status: None), threads=1)


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict | list):
        return [n for inner in (value.values() if isinstance(value, dict) else value) for n in numbers(inner)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize("lesson_id", LESSONS)
def test_default_and_presets_publish_finite_numbers(small: Engine, lesson_id: str) -> None:
    lesson = catalog.load()[lesson_id]
    for settings in ({}, *(preset.settings for preset in lesson.presets)):
        *_, last = catalog.experiment(lesson).run(small, validated(lesson, settings, small.info))
        assert set(last.measured) == set(lesson.data.publishes)
        assert all(map(math.isfinite, numbers(dict(last.measured))))


def test_rows_without_a_text_and_no_end_token_stop_no_lesson(tmp_path: Path) -> None:
    """As tables padded to a round size have it, and base models."""
    made = kinds.byte_level()
    config = {"eos_token_id": None, "max_position_embeddings": 1024}
    folder = kinds.write_model(tmp_path / "m", made, {"chat_template": tiny_gguf.TEMPLATE}, pad_rows=64, **config)
    engine = Engine.load(store.locate(str(folder), lambda status: None), threads=1)
    assert engine.tokenizer.eos_ids == frozenset()
    assert engine.model.config.d_vocab == made.get_vocab_size() + 64
    for lesson_id in ("what-happens", "tokens", "attention", "stopping", "final-vector-to-token", "layer-transforms"):
        lesson = catalog.load()[lesson_id]
        assert list(catalog.experiment(lesson).run(engine, validated(lesson, {}, engine.info)))[-1].views
