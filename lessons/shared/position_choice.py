"""Which token of the text a lesson looks at, and how much of a long text around it."""

from __future__ import annotations


def position_of(asked: int, tokens: int) -> int:
    """The position among `tokens` that a setting means: below 0 and beyond the end, the last."""
    return tokens - 1 if asked < 0 else min(asked, tokens - 1)


def window_start(position: int, tokens: int, width: int) -> int:
    """Where a window of `width` positions begins that has `position` in its middle, as far as the text goes."""
    return max(min(position - width // 2, tokens - width), 0)
