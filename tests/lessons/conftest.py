"""What the tests of all lessons share."""

from __future__ import annotations

import os

import pytest

from tests.support.lessons import RUNS


@pytest.fixture(scope="session", autouse=True)
def runs_made_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whichever worker makes a run, the others read it."""
    own = tmp_path_factory.getbasetemp()
    RUNS.folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
