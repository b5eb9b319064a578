"""Keys, clicks and pastes that wait until the app is done with those before.

Textual hands a key to what has the focus when the key arrives. Where keys come in one burst, the second would go where
the first one leads away from: two escapes would leave one dialog twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message import Message

from llm_holes.tui.draw.sanitize import editable

TYPED = events.InputEvent | events.Paste | events.AppFocus | events.AppBlur
"""What is held in order."""
ROUNDS = 2
"""Ways from what has the focus up to the app: one for the key, one for the message it made a widget post."""
LOST_AFTER = 1.0
"""Seconds after which the next one is given although the way did not end: a widget on it was removed."""
PATIENCE, KEPT = 1.0, 32
"""Seconds that any number may wait; after them, only so many do."""
MOST = 4096
"""How many wait at most."""
SOON = 0.02
"""Seconds after which an app that does not take keys yet is asked again."""
BURST = 8
"""Characters that nobody types at once."""


class Typeahead:
    """Gives the app one event after the other; lives in the app's event loop.

    If the app has a method `takes_keys`, all wait until that is true.
    """

    def __init__(self, app: App[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._takes_keys: Callable[[], bool] = getattr(app, "takes_keys", lambda: True)
        self._waiting: deque[tuple[float, Message]] = deque(maxlen=MOST)
        self._given = 0
        self._busy = False
        self._rescue: asyncio.TimerHandle | None = None

    def add(self, messages: Sequence[Message]) -> None:
        now = self._clock()
        for message in messages:
            if self._waiting and _replaces(message, self._waiting[-1][1]):
                self._waiting.pop()
            self._waiting.append((now, message))
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = bool(self._waiting)
        if not self._busy:
            return
        if not self._takes_keys():
            asyncio.get_running_loop().call_later(SOON, self._next)
            return
        if len(self._waiting) > KEPT and self._clock() - self._waiting[0][0] > PATIENCE:
            self._forget()
        if not self._app.post_message(self._first()):
            self._waiting.clear()  # the app ends
            return
        self._given += 1
        self._rescue = asyncio.get_running_loop().call_later(LOST_AFTER, self._done, self._given)
        self._climb(self._given, ROUNDS, [self._app])

    def _first(self) -> Message:
        """What waits longest. Where text is written, characters that wait in a row are one paste: not all terminals
        mark theirs, and as keys a long one would take seconds."""
        focused = self._app.focused
        if focused is not None and focused.check_consume_key("a", "a"):
            row = list(takewhile(bool, (_character(message) for _, message in self._waiting)))
            if len(row) >= BURST:
                for _ in row:
                    self._waiting.popleft()
                return events.Paste(editable("".join(row)))
        return self._waiting.popleft()[1]

    def _climb(self, number: int, rounds: int, path: list[DOMNode]) -> None:
        """Goes on once all on the path have dealt with what they were sent before."""
        for at, node in enumerate(path):
            if node.call_later(self._climb, number, rounds, path[at + 1 :]):
                return
        if rounds and self._app.is_running:
            start = self._app.focused or self._app.screen
            self._climb(number, rounds - 1, start.ancestors_with_self)
        else:
            self._done(number)

    def _done(self, number: int) -> None:
        if number == self._given and self._rescue is not None:
            self._rescue.cancel()
            self._rescue = None
            self._next()

    def _forget(self) -> None:
        count = len(self._waiting) - KEPT
        for _ in range(count):
            self._waiting.popleft()
        told = f"{count} keys came faster than they could be handled and were left out."
        self._app.notify(told, title="keyboard", markup=False)


def _character(message: Message) -> str:
    """The character a key writes, "" if it writes none."""
    return message.character or "" if isinstance(message, events.Key) and message.is_printable else ""


def _replaces(new: Message, old: Message) -> bool:
    """Whether only the newer one matters."""
    return any(
        isinstance(new, kind) and isinstance(old, kind) for kind in (events.MouseMove, events.AppFocus | events.AppBlur)
    )
