"""The lessons inside the model also run on another one: two layers, four heads, a vocabulary of bytes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from tests.support import tiny_gguf

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
