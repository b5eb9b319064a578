from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from llm_holes.tui.content import lines
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.screens.dialog import Dialog
from llm_holes.tui.screens.help import Sheet

LEAST = 30


class CardScreen(Dialog[str]):
    """A dialog that says something and takes a few keys. Subclasses give its rows for a width.

    Args:
        title: above it.
        keys: what can be pressed, below it.
    """

    def __init__(self, title: str, keys: str) -> None:
        super().__init__()
        self.title_text, self.keys = title, keys

    def rows(self, width: int) -> list[Row]:
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        sheet = Sheet(Static(id="card"), classes="dialog")
        sheet.border_title = self.title_text
        sheet.border_subtitle = self.keys
        yield sheet

    def on_mount(self) -> None:
        self.call_after_refresh(self.show)

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    def show(self) -> None:
        """Draws it, for the width there is."""
        width = max(self.query_one(Sheet).scrollable_content_region.width, LEAST)
        self.query_one("#card", Static).update(lines(self.rows(width)))
