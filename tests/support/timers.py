"""Timers that go off when a test says so, not by the clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.message_pump import MessagePump


class HeldTimer:
    """Stands in for a Textual timer."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


class Timers:
    """Every timer that is set while a test holds them."""

    def __init__(self) -> None:
        self._held: list[HeldTimer] = []

    def hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on no timer goes off by itself."""

        def set_timer(pump: MessagePump, delay: float, callback: Callable[[], object]) -> HeldTimer:
            self._held.append(HeldTimer(callback))
            return self._held[-1]

        monkeypatch.setattr(MessagePump, "set_timer", set_timer)

    def fire(self) -> None:
        """All that were set and not stopped go off, once."""
        due = [timer for timer in self._held if not timer.stopped]
        self._held.clear()
        for timer in due:
            timer.callback()
