"""A small parent of the app's process: it waits, and restores the terminal when the app crashes in native code.

Nothing in the app itself can do that after an abort or a segmentation fault. The parent is forked off before Textual is
imported, which costs a millisecond; signals that end the app are handed on to it. It knows no more than this.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from llm_holes.tui.terminal.restore import Found

KILL_AFTER = 4
"""Seconds that an app which was told to end has. It ends within three, unless it is stopped."""


def leave_a_parent(signals: set[signal.Signals], found: Found) -> int:
    """Forks, with `signals` blocked. Returns in the child: a descriptor on which poll tells when the parent is gone.
    The parent stays in here until the child has ended, and exits as it did."""
    lifeline, ours = os.pipe()
    if (child := os.fork()) == 0:
        os.close(ours)
        return lifeline
    os.close(lifeline)
    status = 1
    try:
        status = os.waitstatus_to_exitcode(_wait(child, signals))
        if status < 0:
            found.restore()
            _tell(-status)
            status = 128 - status
    finally:
        os._exit(status)


def _wait(child: int, signals: set[signal.Signals]) -> int:
    """The wait status with which the child ended; what is sent to the parent meanwhile reaches the child."""
    to_stop = False

    def hand_on(number: int, frame: FrameType | None) -> None:
        nonlocal to_stop
        to_stop = number == signal.SIGTSTP
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    def end(number: int, frame: FrameType | None) -> None:
        hand_on(number, frame)
        signal.alarm(KILL_AFTER)

    handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
        **dict.fromkeys(signals, end),
        signal.SIGTSTP: hand_on,
        signal.SIGCONT: hand_on,
        signal.SIGALRM: lambda *_: hand_on(signal.SIGKILL, None),
    }
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return status
        if to_stop:
            # as the shell's job control expects; an app that somebody else stopped still has to be ended
            os.kill(os.getpid(), signal.SIGSTOP)


def _tell(number: int) -> None:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    with contextlib.suppress(OSError, ValueError):
        told = f"llm-holes was ended by {name}. The next start goes on where you were."
        print(told, file=sys.stderr, flush=True)
