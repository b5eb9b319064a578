"""Faults of our own in what a key or a click leads to: they are told, and the app goes on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from textual.app import App
from textual.events import Event, InputEvent
from textual.worker import WorkerFailed

if TYPE_CHECKING:
    from textual.actions import ActionParseResult
    from textual.dom import DOMNode
    from textual.message import Message
    from textual.message_pump import MessagePump as _Pump
else:
    _Pump = object  # only mixed in

MOST, WITHIN = 5, 10.0
"""So many faults within so many seconds end the app: it is past help, and each of them draws."""


class Steady(_Pump):
    """Before a widget, a screen or an app: it goes on after a fault in its handler of a key, a click or a message."""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            ours = isinstance(message, InputEvent) or not isinstance(message, Event)
            if not (ours and isinstance(self.app, SurvivingApp) and self.app.survive(error)):
                raise


class SurvivingApp(Steady, App[None]):
    """Goes on after a fault in an action, in a worker or in what is `Steady`, once `log_fault` is set."""

    log_fault: Callable[[BaseException], str] | None = None
    """Writes the details down; what the learner is told. None where a fault has to end the app, as in tests."""

    def __init__(self) -> None:
        super().__init__()
        self._faults: deque[float] = deque(maxlen=MOST)

    def survive(self, error: Exception) -> bool:
        """Tells a fault; False if the app has to end on it."""
        now = time.monotonic()
        self._faults.append(now)
        many = len(self._faults) == MOST and now - self._faults[0] < WITHIN
        if self.log_fault is None or many:
            return False
        fault = error.error if isinstance(error, WorkerFailed) else error
        self.notify(self.log_fault(fault), title="error", severity="error", timeout=10, markup=False)
        return True

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        try:
            return await super().run_action(action, default_namespace, namespaces)
        except Exception as error:
            if not self.survive(error):
                raise
            return True

    def _handle_exception(self, error: Exception) -> None:
        if not (isinstance(error, WorkerFailed) and self.survive(error)):
            super()._handle_exception(error)
