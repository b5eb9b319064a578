"""Looking for garbage holds up no key: what is there from the start on is never looked through; paints leave none."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.painting_app import PAINTS
from tests.support.terminal import Terminal


def test_neither_the_program_nor_what_was_painted_is_looked_through(tmp_path: Path, home: dict[str, str]) -> None:
    told = tmp_path / "told"
    with Terminal([sys.executable, "-m", "tests.support.painting_app", str(told)], home) as t:
        assert t.status(30) == 0
    kept, watched, garbage = map(int, told.read_text().split())
    assert watched < kept / 2
    assert garbage < PAINTS
