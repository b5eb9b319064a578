"""A model of two layers, made in a moment."""

from __future__ import annotations

import pytest

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from tests.support import tiny_gguf


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tiny_gguf.write_folder(tmp_path_factory.mktemp("small") / "mine")
    return Engine.load(store.locate(str(folder), lambda status: None), threads=1)
