"""The terminal driver for links that stall: what the terminal does not take is left out, and drawn again later."""

from __future__ import annotations

import asyncio
from queue import Full

from llm_holes.tui.terminal.input import TolerantInput

CHECK_SECONDS = 0.1


class PatientDriver(TolerantInput):
    """Never waits for the terminal while the app runs.

    Textual's own driver blocks the whole event loop once 30 writes wait in its queue: on a link that stalls, the app
    freezes. Here nothing more is queued until the terminal has taken everything; then the screen is drawn afresh.
    """

    _running = False
    _stalled = False

    def write(self, data: str) -> None:
        assert self._writer_thread is not None, "the driver writes in application mode only"
        if not self._running:
            # the sequences that set up and restore the terminal must all arrive
            self._writer_thread.write(data)
        elif not self._stalled:
            try:
                self._writer_thread._queue.put_nowait(data)
            except Full:
                self._stalled = True
                self._loop.call_soon_threadsafe(self._wait_until_drained)

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's is not annotated
        self._running = True

    def stop_application_mode(self) -> None:
        self._running = False
        super().stop_application_mode()

    def _wait_until_drained(self) -> None:
        if not self._running or self._writer_thread is None:
            return
        if not self._writer_thread._queue.empty():
            asyncio.get_running_loop().call_later(CHECK_SECONDS, self._wait_until_drained)
            return
        self._stalled = False
        self._app.refresh(layout=True)
