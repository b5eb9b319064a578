"""When the next paint may go to the terminal: once the last one was seen.

What a program writes waits in the buffers of the pty, of sshd and of TCP, megabytes of it; on a slow line the answer to
a key then shows when all that was painted before has crossed. So a paint is followed by a question every terminal
answers, where its cursor is. The answer comes back when the paint has crossed the line and was drawn; until then what
is to be painted is only collected. On a fast line that is before the next paint is made.

A terminal that does not answer gets so many bytes a second.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

QUESTION = "\x1b[6n"
"""Its answer is a message of Textual's own, `events.CursorPosition`, never a key."""
WINDOW = 1000
"""Bytes that may be under way for another paint to go: a letter that is typed need not wait for the one before."""
PATIENCE = 2.0
"""Seconds after which an answer counts as lost, twice as many after each that was lost before, and then"""
SLOWEST = 5_000.0
"""one for so many bytes under way."""
MOST_DOUBLED = 4
RATE = 16_000.0
"""Bytes a second for a terminal that does not answer."""
BURST = 16_000.0
"""Bytes such a terminal may get at once after a pause."""


class Pace:
    """Counts what is under way.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: deque[tuple[float, int]] = deque()
        """When each question that waits for its answer was asked, and the bytes of the paint before it."""
        self._answers = False
        self._lost = 0
        """Answers lost since the last one that came."""
        self._allowance, self._counted = BURST, clock()

    @property
    def waiting(self) -> bool:
        """Whether an answer can be expected."""
        return self._answers and bool(self._asked)

    def sent(self, size: int) -> None:
        """A paint of so many bytes and the question have been sent."""
        self._refill()
        self._allowance -= size
        self._asked.append((self._clock(), size))

    def answered(self) -> None:
        """The terminal has answered the oldest question."""
        self._answers, self._lost = True, 0
        if self._asked:
            self._asked.popleft()

    def wait(self) -> float:
        """Seconds until another paint may go, 0 for now; less if there is an answer before."""
        if self._answers:
            if (under_way := sum(size for _, size in self._asked)) < WINDOW:
                return 0.0
            patience = (PATIENCE + under_way / SLOWEST) * (1 << min(self._lost, MOST_DOUBLED))
            if (left := self._asked[0][0] + patience - self._clock()) > 0:
                return left
            self._asked.clear()
            self._lost += 1
            return 0.0
        self._refill()
        return max(0.0, -self._allowance / RATE)

    def _refill(self) -> None:
        now = self._clock()
        self._allowance = min(BURST, self._allowance + (now - self._counted) * RATE)
        self._counted = now
