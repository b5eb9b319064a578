"""A tiny model, loaded once."""

from __future__ import annotations

import pytest

from llm_holes.engine.model.decoder import Decoder
from tests.support.tiny_models import ours, reference


@pytest.fixture(scope="session")
def tiny() -> Decoder:
    return ours(reference("llama"))
