"""Looking for garbage hardly ever holds up a key, as paints leave none."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.painting_app import PAINTS
from tests.support.terminal import Terminal


def test_paints_leave_no_garbage(tmp_path: Path, home: dict[str, str]) -> None:
    told = tmp_path / "told"
    with Terminal([sys.executable, "-m", "tests.support.painting_app", str(told)], home) as t:
        assert t.status(30) == 0
    assert int(told.read_text()) < PAINTS
