"""What a run has found so far, from which its frames are made."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from msgspec import structs

from llm_holes.engine.frames import Cost, Frame, View


def keyed(named: Mapping[str, View | None]) -> tuple[View, ...]:
    """The views with their names as keys, those that are None left out."""
    return tuple(
        structs.replace(view, key=name.replace("_", " ")) for name, view in named.items() if view is not None
    )  # fmt: skip


class Report:
    """`measure`, `show`, `say` and `cost` change what the next frame carries; a frame that was made stays as it was."""

    def __init__(self) -> None:
        self.measured: dict[str, Any] = {}
        self.views: tuple[View, ...] = ()
        self.caption = ""
        self.cost: Cost | None = None

    def measure(self, found: Mapping[str, Any] | None = None, /, **named: Any) -> None:
        """Publishes values under their names, besides those that are published already."""
        self.measured |= {**(found or {}), **named}

    def show(self, *views: View, **named: View | None) -> None:
        """From now on these views, in this order: those with keys of their own, then others under their names, where
        `what_it_takes` is the key `what it takes`. What is None is left out."""
        self.views = (*views, *keyed(named))

    def show_also(self, *views: View, **named: View | None) -> None:
        """These views after those that are shown already."""
        self.views = (*self.views, *views, *keyed(named))

    def say(self, caption: str) -> None:
        """From now on this caption."""
        self.caption = caption

    def say_also(self, sentence: str) -> None:
        """The caption goes on with this sentence."""
        self.caption = f"{self.caption} {sentence}".strip()

    def frame(self, progress: float | None = None) -> Frame:
        """All of it as it is now; `progress` as in `Frame`."""
        return Frame(self.caption, self.views, deepcopy(self.measured), progress, self.cost)
