"""The pace of a run that is played, picture by picture."""

from __future__ import annotations

import time

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled

SECONDS = 0.15
CHECK_SECONDS = 0.02


def pause(engine: Engine) -> None:
    """As long as the eye needs for one picture. Raises Cancelled."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if engine.model.is_cancelled():
            raise Cancelled
        time.sleep(CHECK_SECONDS)
