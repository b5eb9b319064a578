"""A real pseudo-terminal with a program in it, and a screen that shows what the program drew."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import pyte

MODES = re.compile(rb"\x1b\[\?([\d;]+)([hl])")
SHOULD_BE_ON = {7, 25}
"""Line wrap and the cursor: the private modes a shell expects on."""


def echoes(fd: int) -> bool:
    """Whether a terminal shows what is typed by itself, as it does as long as no program takes its keys."""
    return bool(termios.tcgetattr(fd)[3] & termios.ECHO)


class Terminal:
    """Starts `command` in a terminal of its own, as a login does.

    Args:
        size: columns and rows.
        answers: whether it answers questions, as terminals do, once it has drawn what came before.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], size: tuple[int, int] = (120, 40), answers: bool = True
    ) -> None:
        self.screen = pyte.Screen(*size)
        if answers:
            self.screen.write_process_input = self.keys
        self.stream = pyte.ByteStream(self.screen)
        self.output = b""
        self._status: int | None = None
        # a ctrl+c that comes before the program must not raise KeyboardInterrupt in what is still a copy of this one
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a test run in the background hands it down ignored
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.execvpe(command[0], list(command), dict(env))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self.attributes = termios.tcgetattr(self.fd)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.hang_up()
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def keys(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def read(self, seconds: float = 0.05) -> None:
        """Takes what the program writes, for up to `seconds` or until it pauses."""
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the program has closed its side
                time.sleep(0.01)
                return
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Draws what the program wrote."""
        self.output += data
        self.stream.feed(data)

    def until(self, condition: str | Callable[[], bool], seconds: float = 30) -> float:
        """Reads until the screen shows the text or the condition holds; returns how long it took."""
        start = time.monotonic()
        while not (condition in self.text if isinstance(condition, str) else condition()):
            if time.monotonic() - start > seconds:
                raise AssertionError(f"waited {seconds} s for {condition!r}; the screen shows:\n{self.text}")
            self.read()
        return time.monotonic() - start

    def status(self, seconds: float = 30) -> int:
        """The exit status, once the program has ended and all its output is read; 128+n if signal n ended it."""
        self.until(self._ended, seconds)
        while select.select([self.fd], [], [], 0)[0]:
            before = len(self.output)
            self.read(0)
            if len(self.output) == before:
                break
        assert self._status is not None
        return self._status

    def hang_up(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def ended(self, seconds: float) -> bool:
        """Like `status`, after `hang_up`."""
        deadline = time.monotonic() + seconds
        while not self._ended() and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._ended()

    def assert_restored(self) -> None:
        """Nothing the program switched on is left on, and the line discipline is the shell's again."""
        on = set(SHOULD_BE_ON)
        for numbers, switch in MODES.findall(self.output):
            for number in map(int, numbers.split(b";")):
                (on.add if switch == b"h" else on.discard)(number)
        # synchronized output ends by itself; 1016 and 2048 are only switched on when the terminal offers them
        assert on - {2026} == SHOULD_BE_ON
        assert len(re.findall(rb"\x1b\[>\d+u", self.output)) <= len(re.findall(rb"\x1b\[<\d*u", self.output))
        assert termios.tcgetattr(self.fd) == self.attributes

    def _ended(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._status = code if code >= 0 else 128 - code
        return self._status is not None
