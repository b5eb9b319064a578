"""What every test may use."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")

from llm_holes.engine.checkpoint import store  # the settings above are read at import


@pytest.fixture(scope="session")
def model_files() -> store.ModelFiles:
    """The default model, from the learner's own cache; fetched once if it is not there yet."""
    return store.locate(None, lambda status: None)
