"""What the engine's process does around loading a model."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from llm_holes.engine.errors import ModelError
from llm_holes.lessons.worker import EngineHost
from tests.support import tiny_gguf


def test_what_was_loaded_is_not_looked_through_for_garbage_and_what_comes_after_is(tmp_path: Path) -> None:
    tiny_gguf.write_folder(tmp_path / "tiny")
    EngineHost(str(tmp_path / "tiny"), 1, "cpu").load(lambda status: None)
    assert gc.isenabled()
    assert gc.get_freeze_count()
    gc.unfreeze()


def test_garbage_is_looked_for_after_a_model_was_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        EngineHost(str(tmp_path), 1, "cpu").load(lambda status: None)
    assert gc.isenabled()
