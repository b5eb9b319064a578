"""Runs a program in a pseudo-terminal and watches the bytes it draws."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import tempfile
import termios
import time
from collections.abc import Callable, Sequence

QUESTION, ANSWER = b"\x1b[6n", b"\x1b[1;1R"
"""Where the cursor is: what a terminal answers when it has drawn what came before."""


class Terminal:
    """A program on a pty of `columns` × `lines`, which answers; what it writes is collected in `output`."""

    def __init__(self, command: Sequence[str], columns: int = 120, lines: int = 40) -> None:
        self.output = bytearray()
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.environ.pop("NO_COLOR", None)
            os.environ["LLM_HOLES_STATE"] = tempfile.mkdtemp()
            os.execvp(command[0], list(command))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float) -> bytes:
        """What arrives within `seconds`, at most one read."""
        if not select.select([self.fd], [], [], max(seconds, 0))[0]:
            return b""
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            return b""
        self.output += data
        if asked := data.count(QUESTION):
            self.send(ANSWER * asked)
        return data

    def wait(self, seen: Callable[[bytes], bool], seconds: float = 60) -> float:
        """Seconds since the start until `seen(output)`. Raises TimeoutError with the end of the output."""
        end = time.perf_counter() + seconds
        while not seen(bytes(self.output)):
            if time.perf_counter() > end:
                raise TimeoutError(self.output[-300:])
            self.read(end - time.perf_counter())
        return time.perf_counter() - self.started

    def drain(self, quiet: float = 0.3, seconds: float = 30) -> int:
        """Reads until nothing comes for `quiet` seconds; how many bytes that were."""
        before, end = len(self.output), time.perf_counter() + seconds
        while self.read(quiet) and time.perf_counter() < end:
            pass
        return len(self.output) - before

    def send(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def close(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        end = time.perf_counter() + 3
        while time.perf_counter() < end and os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            self.read(0.05)
        os.close(self.fd)
