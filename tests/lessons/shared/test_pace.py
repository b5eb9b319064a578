"""A run that is played waits between its pictures, and not for one who has cancelled it."""

from __future__ import annotations

import time

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.lessons.shared import pace


def test_it_waits_for_the_eye(small: Engine) -> None:
    started = time.monotonic()
    pace.pause(small)
    assert time.monotonic() - started >= pace.SECONDS


def test_cancelling_ends_the_wait(small: Engine) -> None:
    with pytest.raises(Cancelled):
        pace.pause(small.cancellable(lambda: True))
