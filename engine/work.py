"""What a run does just now: told by whatever computes, sent with the heartbeat. Torch-free."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

LAYER = "layer"


class Work(msgspec.Struct, frozen=True):
    """The `done`-th of `of` like pieces, each a `what`; a layer is for so many `tokens`."""

    what: str
    done: int
    of: int
    tokens: int = 0


class Doing(msgspec.Struct, frozen=True):
    """The latest work of a run. `passes` through the layers were begun so far, the last `steps` of them for one token
    each; `readings` of the whole text were begun, of about `of_readings` (0: not known)."""

    work: Work
    passes: int = 0
    steps: int = 0
    readings: int = 0
    of_readings: int = 0


Tell = Callable[[Work], None]


def untold(work: Work) -> None:
    """Nobody wants to know."""


class Watch:
    """A run as those see it who compute it: whether it is still wanted, and where they tell what they do.

    One thread tells and another looks: `doing` is replaced whole, so neither waits for the other.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self.doing: Doing | None = None
        self._passes = self._steps = 0
        self._text = self._readings = self._of_readings = 0
        self._read = 0.0

    def cancel(self) -> None:
        self._cancelled.set()

    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def expect(self, readings: float, tokens: int) -> None:
        """The run will read a text of so many tokens about so many times."""
        self._of_readings, self._text = round(readings), tokens

    def tell(self, work: Work) -> None:
        if work.what == LAYER:
            self._count(work)
        self.doing = Doing(work, self._passes, self._steps, self._readings, self._of_readings)

    def _count(self, layer: Work) -> None:
        before = self.doing.work if self.doing is not None else None
        if before is None or before.what != LAYER or layer.done != before.done + 1:
            self._passes += 1
            self._steps = self._steps + 1 if layer.tokens == 1 else 0
        if self._text:
            self._readings = int(self._read / self._text) + 1
        self._read += layer.tokens / layer.of
