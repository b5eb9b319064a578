"""When a server that is busy is asked again: later and later, not all at once, and never for long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

BUSY = frozenset({429, 503})
ATTEMPTS = 5
FIRST_SECONDS, LONGEST_SECONDS = 0.5, 20.0


def wait_before(
    attempt: int,
    status: int,
    retry_after: str | None,
    chance: Callable[[], float] = random.random,
    now: Callable[[], float] = time.time,
) -> float | None:
    """Seconds to wait before the next attempt, after `attempt` (from 1) was answered with `status`; None: give up.

    The wait doubles, and of that a random part of at least a half is waited, so that clients which were refused
    together do not come back together. What the server asks for is waited in full, unless it is too long.
    """
    if status not in BUSY or attempt >= ATTEMPTS:
        return None
    asked = _asked(retry_after, now)
    if asked is not None:
        return asked + chance() * FIRST_SECONDS if asked <= LONGEST_SECONDS else None
    return min(FIRST_SECONDS * 2.0 ** (attempt - 1), LONGEST_SECONDS) * (0.5 + chance() / 2)


def _asked(retry_after: str | None, now: Callable[[], float]) -> float | None:
    """Seconds of a Retry-After header: a number or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after.strip()[:9])
    try:
        when: float = parsedate_to_datetime(retry_after).timestamp()
        return max(when - now(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
