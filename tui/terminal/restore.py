"""The terminal as it was found, and the way back to it from any state an app can leave it in."""

from __future__ import annotations

import contextlib
import os
import termios

# Mouse first: what it sends must not reach the shell. The keyboard protocol belongs to the alternate screen.
RESET = (
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?2004l\x1b[?1004l"  # mouse, paste, focus
    "\x1b[<u\x1b[?7h\x1b[?1049l\x1b[?25h"  # keyboard protocol, line wrap, alternate screen, cursor
)


class Found:
    """What the terminal on standard input was like."""

    def __init__(self) -> None:
        self._attributes = termios.tcgetattr(0)
        self._name = os.ttyname(0)

    def restore(self) -> None:
        """Never waits: what a stalled terminal has not taken by now is thrown away."""
        with contextlib.suppress(termios.error):
            termios.tcflush(0, termios.TCOFLUSH)
        # opened anew: O_NONBLOCK on our own descriptor would be the shell's as well
        with contextlib.suppress(OSError):
            terminal = os.open(self._name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            os.write(terminal, RESET.encode())
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, self._attributes)
