"""A terminal at the end of a slow line: what the program writes waits in buffers without end, as in sshd and TCP."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Mapping, Sequence

from tests.support.terminal import Terminal

PIECE = 100
"""Bytes that arrive together."""


class SlowTerminal(Terminal):
    """Like `Terminal`, behind a line.

    Args:
        rate: bytes a second towards the terminal.
        delay: seconds one way.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        size: tuple[int, int] = (120, 40),
        rate: float = 20_000,
        delay: float = 0.1,
        answers: bool = True,
    ) -> None:
        self._rate, self._delay = rate, delay
        self._down: deque[tuple[float, bytes]] = deque()
        self._up: deque[tuple[float, bytes]] = deque()
        self._free = 0.0
        super().__init__(command, env, size, answers)

    @property
    def on_the_way(self) -> int:
        """Keys and answers that have not arrived at the program."""
        return len(self._up)

    def keys(self, text: str) -> None:
        self._up.append((time.monotonic() + self._delay, text.encode()))

    def read(self, seconds: float = 0.01) -> None:
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # the program has closed its side
                data = b""
            for start in range(0, len(data), PIECE):
                self._send(data[start : start + PIECE])
        now = time.monotonic()
        while self._up and self._up[0][0] <= now:
            os.write(self.fd, self._up.popleft()[1])
        while self._down and self._down[0][0] <= now:
            self.feed(self._down.popleft()[1])

    def status(self, seconds: float = 30) -> int:
        """Also once what was on the way has arrived."""
        status = super().status(seconds)
        self.until(lambda: not self._down, seconds)
        return status

    def _send(self, data: bytes) -> None:
        self._free = max(self._free, time.monotonic()) + len(data) / self._rate
        self._down.append((self._free + self._delay, data))
