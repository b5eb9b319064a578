"""How sure a rate is that was counted. No torch."""

from __future__ import annotations

import math


def wilson(right: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Between which shares the true rate lies, with 95 % confidence, after `right` of `trials`, at least one, came out
    right (Wilson 1927); unlike the textbook interval it is sound for few trials and near 0 and 1."""
    share = right / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, centre - half), min(1.0, centre + half)
