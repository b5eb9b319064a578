"""Paints a few hundred times and ends: `python -m tests.support.painting_app FILE`. Into FILE goes how many objects the
paints left as garbage."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from textual.app import App, ComposeResult
from textual.widgets import Static

from llm_holes.tui.terminal.terminal import run_app

PAINTS = 200


def collected() -> int:
    """How many objects have been garbage until now."""
    gc.collect()
    return sum(generation["collected"] for generation in gc.get_stats())


class PaintingApp(App[None]):
    count = before = 0

    def compose(self) -> ComposeResult:
        yield Static("\n" * 38)

    def on_mount(self) -> None:
        self.set_timer(0.5, self.begin)

    def begin(self) -> None:
        self.before = collected()
        self.paint()

    def paint(self) -> None:
        self.count += 1
        lines = "\n".join(f"line {row} of {self.count}" for row in range(39))
        self.query_one(Static).update(lines, layout=False)
        self.call_after_refresh(self.paint if self.count < PAINTS else self.tell)

    def tell(self) -> None:
        Path(sys.argv[1]).write_text(str(collected() - self.before))
        self.exit()


if __name__ == "__main__":
    sys.exit(run_app(PaintingApp))
