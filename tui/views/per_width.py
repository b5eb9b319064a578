"""A drawing that depends on a view and a width, made once for each width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerWidth(Generic[T]):
    """Remembers what `make` gave for the last width. `forget` when what it is made from has changed."""

    def __init__(self, make: Callable[[int], T]) -> None:
        self._make = make
        self._made: tuple[int, T] | None = None

    def __call__(self, width: int) -> T:
        if self._made is None or self._made[0] != width:
            self._made = width, self._make(width)
        return self._made[1]

    def forget(self) -> None:
        self._made = None
