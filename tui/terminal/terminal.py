"""Runs the app in a terminal and leaves the terminal as it was found, whatever ends the app.

Textual restores the terminal when the app ends by itself. A hangup, a SIGTERM or a terminal that is gone does not reach
it reliably: the signal may be delivered to a thread that cannot act, and the main thread may be stuck writing. So the
signals that end programs are blocked in every thread but one, which waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.terminal.environment import known_colours, unusable
from llm_holes.tui.terminal.parent import leave_a_parent
from llm_holes.tui.terminal.restore import Found

if TYPE_CHECKING:
    from textual.app import App

SIGNALS = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
GRACE = 2.0
"""Seconds the app gets to end by itself."""

STARTED = 1.0
"""Seconds after which what was made for the start is there."""

GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL


def run_app(make_app: Callable[[], App[Any]]) -> int:
    """Runs the app; returns the exit status: 0, 1 after an error, 2 without a usable terminal, 128+n after signal n.

    If the app has a method `save_now`, it is called first when a signal or a hangup ends the app, from another thread.
    """
    # nothing that the first screen is made of is garbage, and to look for some takes longer each time
    gc.disable()
    if problem := unusable(os.environ, sys.stdin.isatty() and sys.stdout.isatty()):
        print(f"llm-holes: {problem}", file=sys.stderr)
        return 2
    if colours := known_colours(os.environ):
        os.environ.setdefault("TEXTUAL_COLOR_SYSTEM", colours)
    # before any thread starts, as threads inherit what is blocked
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS if _job_control() else {*SIGNALS, signal.SIGTSTP})
    found = Found()
    lifeline = leave_a_parent(SIGNALS, found)
    try:
        return _run(make_app, found, lifeline)
    except Exception as error:
        return _crashed(error)


def _job_control() -> bool:
    """Whether a shell would notice that we stopped and could go on with us: a shell puts what it starts into groups of
    their own; what sshd starts in its place is in the first group of the session."""
    return os.getpgrp() != os.getsid(0)


class Guard:
    """Ends the app on a signal or when the terminal or the parent is gone; if the app does not end, ends the process.

    Args:
        found: what the terminal is left as.
        lifeline: a descriptor on which poll tells when the parent is gone.
    """

    def __init__(self, app: App[Any], loop: asyncio.AbstractEventLoop, found: Found, lifeline: int) -> None:
        self._app = app
        self._loop = loop
        self._found = found
        self._lifeline = lifeline
        self._once = threading.Lock()
        self.restored = threading.Event()

    def start(self) -> None:
        for watch in (self._wait_for_signal, self._watch_terminal):
            threading.Thread(target=watch, name="terminal-guard", daemon=True).start()

    def _wait_for_signal(self) -> None:
        self._end(signal.sigwait(SIGNALS))

    def _watch_terminal(self) -> None:
        poll = select.poll()
        poll.register(0, 0)
        if poll.poll(0):
            poll.unregister(0)  # a system whose poll does not know terminals
        poll.register(self._lifeline, 0)
        while not any(event & GONE for _, event in poll.poll(1000)):
            pass
        self._end(signal.SIGHUP)

    def _end(self, number: int) -> None:
        if not self._once.acquire(blocking=False):
            return
        save = getattr(self._app, "save_now", None)
        if save is not None:
            with contextlib.suppress(Exception):
                save()
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(lambda: self._app.exit(return_code=128 + number))
        time.sleep(GRACE)
        if not self.restored.is_set():
            self._found.restore()
        os._exit(128 + number)


def _run(make_app: Callable[[], App[Any]], found: Found, lifeline: int) -> int:
    from rich.console import Console
    from textual.drivers.linux_driver import LinuxDriver

    from llm_holes.tui.faults import SurvivingApp
    from llm_holes.tui.terminal.driver import PatientDriver
    from llm_holes.tui.terminal.filters import poor_terminal
    from llm_holes.tui.terminal.uncut_lines import forget_themselves

    forget_themselves()
    app = make_app()
    app._filters += poor_terminal(os.environ)
    if app.driver_class is LinuxDriver:
        app.driver_class = PatientDriver
    if isinstance(app, SurvivingApp):
        app.log_fault = _met
    # Textual would print the traceback with all local variables, the learner's text among them
    said = io.StringIO()
    app.error_console = Console(file=said, markup=False, highlight=False)

    async def run() -> None:
        asyncio.get_running_loop().call_later(STARTED, _look_for_garbage)
        guard = Guard(app, asyncio.get_running_loop(), found, lifeline)
        guard.start()
        try:
            await app.run_async()
        finally:
            if stalled := isinstance(app._driver, PatientDriver) and app._driver.stalled:
                found.restore()
            guard.restored.set()
        if stalled:
            os._exit(app.return_code or 0)  # whatever is still written would wait for the terminal

    asyncio.run(run())
    if app._exception is not None:
        return _crashed(app._exception)
    sys.stderr.write(said.getvalue())
    return app.return_code or 0


def _look_for_garbage() -> None:
    """Once in all that the start has made, which holds up the keys for 60 ms, and from now on in what is new."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _crashed(error: BaseException) -> int:
    """Writes the traceback to the log and one line to the terminal."""
    print(f"llm-holes stopped on an error of its own: {_logged(error)}", file=sys.stderr)
    return 1


def _met(error: BaseException) -> str:
    return f"What you did met an error of llm-holes itself; it goes on. {_logged(error)}"


def _logged(error: BaseException) -> str:
    """Writes the traceback to the log; the error, and where its details are."""
    where = _log("".join(traceback.format_exception(error)))
    details = f"The details are in {where}." if where else ""
    return f"{type(error).__name__}: {visible(' '.join(str(error).split())[:200])} {details}"


def _log(text: str) -> Path | None:
    from platformdirs import user_log_path

    path = user_log_path("llm-holes") / "app.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S}\n{text}\n")
    except OSError:
        return None
    return path
