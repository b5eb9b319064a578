"""Numbers of a parsed `config.json`, checked. Torch-free."""

from __future__ import annotations

import math
from typing import Any

MAX_COUNT = 2**31


def count(value: Any, name: str, limit: int = MAX_COUNT) -> int:
    """A whole number from 1 to `limit`. Raises ValueError."""
    if not _is_number(value) or value != int(value) or not 0 < value <= limit:
        raise ValueError(f"{name} = {value!r:.60}")
    return int(value)


def number(value: Any, name: str) -> float:
    """A finite number. Raises ValueError."""
    if not _is_number(value):
        raise ValueError(f"{name} = {value!r:.60}")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
