"""When what the learner did is written to the disk: soon, in a thread, and once more when the program ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_holes.lessons.learner.events import Resume
    from llm_holes.lessons.learner.learner import Learner


class Saving:
    """Keeps the disk out of the way of the keys.

    Args:
        learner: whose record it is.
        point: where the learner is now.
        in_thread: does some work in a thread.
        told: is called from that thread after each save: the learner may have to be told something.
    """

    def __init__(
        self,
        learner: Callable[[], Learner],
        point: Callable[[], Resume | None],
        in_thread: Callable[[Callable[[], None]], object],
        told: Callable[[], object],
    ) -> None:
        self._learner, self._point, self._in_thread, self._told = learner, point, in_thread, told
        self._placed: Resume | None = None

    def now(self) -> None:
        """Writes everything, to the disk before it returns. A thread calls it when a signal ends the program."""
        self._learner().save(self._point())

    def soon(self) -> None:
        """Writes everything without holding up the keys."""
        self._placed = self._point()
        self._in_thread(partial(self._write, self._placed))

    def place(self) -> None:
        """Writes where the learner is, if that has changed."""
        if self._point() != self._placed:
            self.soon()

    def _write(self, point: Resume | None) -> None:
        self._learner().save(point)
        self._told()
