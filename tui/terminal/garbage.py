"""How often Python looks for garbage in the app's process: so rarely, and through so little, that no key waits for it.

Of its own accord it looks through all there is about once a second while a run is drawn, which takes 80 ms.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence

from textual.strip import Strip

NEW = 5_000
"""Objects that are made before the new ones are looked through: those of a few paints."""
LOOKS = 3
"""Looks at the new ones before those that outlived one are looked through too."""
SETTLED = 3.0
"""Seconds after which what there is belongs to the program and is never looked through. Until then nothing is: it would
be a fifth of the time to the first screen."""

_divide = Strip.divide


def divide(strip: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
    """What Textual's own gives, which would have a line that is not cut remember itself: each line of each paint would
    only go when it is looked for."""
    cuts = list(cuts)
    return [strip] if cuts == [strip.cell_length] else _divide(strip, cuts)


def spare_the_keys(call_later: Callable[[float, Callable[[], None]], object]) -> None:
    """For the whole process, in which nothing was looked through so far, until it ends.

    Args:
        call_later: calls something after some seconds.
    """
    Strip.divide = divide  # type: ignore[assignment, method-assign]
    gc.set_threshold(NEW, LOOKS, gc.get_threshold()[2])
    call_later(SETTLED, _settle)


def _settle() -> None:
    gc.freeze()
    gc.enable()
