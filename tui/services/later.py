"""Something to be done once, after a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    def stop(self) -> None: ...


class Later:
    """Does `work` a number of seconds after it was asked for, however often it was asked for meanwhile.

    Args:
        set_timer: calls something after some seconds.
        work: what to do.
    """

    def __init__(self, set_timer: Callable[[float, Callable[[], None]], Timer], work: Callable[[], object]) -> None:
        self._set_timer, self._work = set_timer, work
        self._timer: Timer | None = None

    def within(self, seconds: float) -> None:
        """Does it `seconds` after the first time it was asked for."""
        if self._timer is None:
            self._timer = self._set_timer(seconds, self._do)

    def after(self, seconds: float) -> None:
        """Does it `seconds` after the last time it was asked for."""
        self.drop()
        self.within(seconds)

    def drop(self) -> None:
        """Does not do it after all."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _do(self) -> None:
        self._timer = None
        self._work()
