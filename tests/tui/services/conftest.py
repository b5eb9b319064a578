from __future__ import annotations

from pathlib import Path

import pytest

from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.learner.learner import Learner
from tests.support import gallery
from tests.support.bench import Bench


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return gallery.catalog(tmp_path_factory.mktemp("lessons"))


@pytest.fixture
def bench(small: Catalog, tmp_path: Path) -> Bench:
    learner = Learner()
    learner.open(tmp_path)
    return Bench(small, learner)


@pytest.fixture
def tokens(small: Catalog) -> Lesson:
    return small["tokens"]
