"""What each half loads, seen in a fresh interpreter: a static graph cannot see a deferred import being taken."""

from __future__ import annotations

import pytest

from tests.support.imports import (
    DRAWING_LIBRARIES,
    MODEL_LIBRARIES,
    NOT_ON_THE_FIRST_SCREEN,
    SLOW_ON_THE_WAY_TO_THE_FIRST_PAINT,
    loaded_by,
)


def test_the_app_loads_no_model_library() -> None:
    loaded = loaded_by("import llm_holes.tui.app, llm_holes.tui.cli.main")
    assert "textual" in loaded
    assert not loaded & (MODEL_LIBRARIES | SLOW_ON_THE_WAY_TO_THE_FIRST_PAINT | NOT_ON_THE_FIRST_SCREEN)


@pytest.mark.parametrize(
    "module", ["llm_holes.engine.engine", "llm_holes.lessons.worker", "llm_holes.engine.selfcheck"]
)
def test_the_engine_loads_no_drawing_library(module: str) -> None:
    assert not loaded_by(f"import {module}") & DRAWING_LIBRARIES


def test_the_catalog_reads_every_lesson_without_a_model_library() -> None:
    loaded = loaded_by("from llm_holes.lessons.catalog import catalog; catalog.load()")
    assert not loaded & (MODEL_LIBRARIES | DRAWING_LIBRARIES | SLOW_ON_THE_WAY_TO_THE_FIRST_PAINT)


def test_what_asks_a_server_loads_no_model_library() -> None:
    every = "from llm_holes.lessons import served; from llm_holes.lessons.catalog import catalog"
    loaded = loaded_by(
        f"import llm_holes.lessons.served_worker; {every}; [served.served(x) for x in catalog.load().lessons.values()]"
    )
    assert "httpx2" in loaded
    assert not loaded & ((MODEL_LIBRARIES | DRAWING_LIBRARIES) - {"tiktoken", "tokenizers"})
