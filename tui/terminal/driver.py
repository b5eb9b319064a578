"""The terminal driver for slow links: it sends what changed, when the last paint was seen, and never waits."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from queue import Full
from select import poll, select
from typing import Any

from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.app import App
from textual.events import CursorPosition
from textual.message import Message

from llm_holes.tui.terminal.canvas import Canvas, is_paint
from llm_holes.tui.terminal.input import TolerantInput
from llm_holes.tui.terminal.pacing import QUESTION, Pace

STDERR = 2
CHECK_SECONDS = 0.05
"""Seconds after which is looked again whether the terminal has taken what was written."""
ANSWER_MS = 5
LAST_WORDS = 1.0
"""Seconds a terminal gets to answer the last question, and as many to take what restores it."""


class Outlet:
    """What is written to: the terminal without a buffer, and without a write that waits for ever.

    Args:
        descriptor: of the terminal, or of a file.
        encoding: of what is written there.
    """

    closed = False
    """Whether the rest is thrown away."""

    def __init__(self, descriptor: int, encoding: str) -> None:
        self._descriptor, self._encoding = descriptor, encoding
        self._left = b""
        self.written = 0
        """Texts that Textual's thread has written."""
        # opened anew: O_NONBLOCK on our own descriptor would be the shell's as well; another user's cannot be opened
        with suppress(OSError):
            self._descriptor = os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        self._never_waits = self._descriptor != descriptor

    def fileno(self) -> int:
        return self._descriptor

    def at_once(self, text: str) -> bool:
        """Writes what the terminal takes without waiting, while the thread has nothing to write. Whether that is all;
        else the thread has to be given the text, and goes on from there."""
        if not self._never_waits:
            return False
        self._left = text.encode(self._encoding, "replace")
        with suppress(OSError):  # the thread meets it again
            self._left = self._left[os.write(self._descriptor, self._left) :]
        return not self._left

    def write(self, text: str) -> None:
        data, self._left = self._left or text.encode(self._encoding, "replace"), b""
        while data and not self.closed:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select([], [self._descriptor], [], CHECK_SECONDS)
        self.written += 1

    def flush(self) -> None:
        pass


class PatientDriver(TolerantInput):
    """Never waits for the terminal while the app runs, and for a few seconds at most when it ends.

    Textual's own driver blocks the whole event loop once 30 writes wait in its queue: on a link that stalls, the app
    freezes. Here a paint becomes cells (`canvas.py`); those that differ from what was sent go when it is time for it
    (`pacing.py`) and the terminal has taken everything before.
    """

    stalled = False
    """Whether the terminal did not take what restores it."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._outlet = Outlet(STDERR, getattr(self._file, "encoding", "utf-8"))
        self._file = self._outlet  # type: ignore[assignment]  # Textual's thread calls three methods of it
        self._canvas = Canvas(0, 0)
        self._pace = Pace()
        self._running = False
        self._given = 0
        """Texts that Textual's thread was given."""
        self._timer: asyncio.TimerHandle | None = None

    def start_application_mode(self) -> None:
        self._outlet.closed = False
        self._given = self._outlet.written
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's is not annotated
        self._canvas.forget()
        self._running = True

    def write(self, data: str) -> None:
        if not self._running:
            # the sequences that set up and restore the terminal must all arrive
            self._enqueue(data, LAST_WORDS)
        elif data in {SYNC_START, SYNC_END}:
            pass  # set around what is sent
        elif is_paint(data):
            if self._canvas.size != self._app.size:
                self._canvas.resize(*self._app.size)
            self._canvas.paint(data)
            self._send()
        else:
            self._enqueue(data, 0)

    def process_message(self, message: Message) -> None:
        if isinstance(message, CursorPosition):
            self._pace.answered()
            self._loop.call_soon_threadsafe(self._send)
        else:
            super().process_message(message)

    def stop_application_mode(self) -> None:
        self._running = False
        self._hear_out()
        super().stop_application_mode()

    def redraw(self) -> None:
        """Sends the whole screen, whatever the terminal shows."""
        self._canvas.forget()
        self._send()

    def _hear_out(self) -> None:
        """Waits for the answers that are on their way: the shell would take them for what was typed."""
        end = time.monotonic() + LAST_WORDS
        gone = poll()
        gone.register(self.fileno, 0)
        while self._pace.waiting and time.monotonic() < end and not gone.poll(ANSWER_MS):
            pass

    def close(self) -> None:
        thread = self._writer_thread
        if thread is None:
            return
        with suppress(Full):
            thread._queue.put_nowait(None)
        thread.join(LAST_WORDS)
        self.stalled = thread.is_alive()
        self._outlet.closed = True
        thread.join(4 * CHECK_SECONDS)

    def _send(self) -> None:
        """Sends what changed, now or as soon as it may go."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._running or self._writer_thread is None:
            return
        wait = self._pace.wait() if self._all_written else CHECK_SECONDS
        if wait > 0:
            self._timer = self._loop.call_later(wait, self._send)
        elif changed := self._canvas.difference():
            paint = f"{SYNC_START}{changed}{SYNC_END}" if self._app._sync_available else changed
            self._pace.sent(len(paint.encode("utf-8", "replace")))
            self._enqueue(paint + QUESTION, 0)

    @property
    def _all_written(self) -> bool:
        return self._given <= self._outlet.written

    def _enqueue(self, data: str, seconds: float) -> None:
        """Writes it, or what the terminal does not take gives to the thread that can wait; on a line that stalls it is
        lost after so many seconds."""
        assert self._writer_thread is not None, "the driver writes in application mode only"
        if self._all_written and self._outlet.at_once(data):
            return
        with suppress(Full):
            self._writer_thread._queue.put(data, seconds > 0, seconds)
            self._given += 1
