"""Painted lines that leave no garbage.

Textual's `Strip.divide` has a line that is not cut remember itself, so that each line of each paint only goes when
Python looks for garbage: through all there is, about once a second while a run is drawn, in 80 ms that a key waits for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.strip import Strip

_divide = Strip.divide


def forget_themselves() -> None:
    """For the whole process."""
    Strip.divide = divide  # type: ignore[assignment, method-assign]


def divide(strip: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
    """What Textual's own gives."""
    cuts = list(cuts)
    return [strip] if cuts == [strip.cell_length] else _divide(strip, cuts)
