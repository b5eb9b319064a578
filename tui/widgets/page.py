"""The page of a lesson: words, picture, what is said of it, dials."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from llm_holes.tui.widgets.dials import Dials
from llm_holes.tui.widgets.result import Result
from llm_holes.tui.widgets.stage import Stage
from llm_holes.tui.widgets.words import WordsPane


class Page(Vertical):
    """Its parts are held rather than found: replies also come while they are put together, and below a dialog."""

    def __init__(self) -> None:
        super().__init__(id="page")
        self.words, self.stage, self.result, self.dials = WordsPane(), Stage(), Result(), Dials()

    def compose(self) -> ComposeResult:
        with Container(id="work"):
            yield self.words
            with Vertical(id="see"):
                yield self.stage
                yield self.result
        yield self.dials
