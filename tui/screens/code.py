from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pygments.token import Token  # type: ignore[import-untyped]  # comes with textual, has no types
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.highlight import HighlightTheme, highlight
from textual.widgets import Static

from llm_holes.tui.actions import SCROLL, bindings
from llm_holes.tui.draw.sanitize import clean
from llm_holes.tui.screens.dialog import Dialog
from llm_holes.tui.state.sources import Source


class Calm(HighlightTheme):
    """Greys, with weight for structure: the one bright colour stays with what can be acted on."""

    STYLES = {  # noqa: RUF012  # declared without ClassVar above it
        Token.Comment: "$muted italic",
        Token.Keyword: "bold $strong",
        Token.Literal.String: "$foreground 85%",
        Token.Literal.String.Doc: "$muted italic",
        Token.Name.Class: "bold $act",
        Token.Name.Function: "bold $act",
        Token.Name.Decorator: "$muted",
    }


class Listing(VerticalScroll, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(SCROLL)]


class CodeScreen(Dialog[None]):
    """The code that runs: the experiment first, then what it is built on. n and p go from one piece to the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n,right,l", "piece(1)", "next piece", tooltip="The next piece of code", id="code-next"),
        Binding("p,left,h", "piece(-1)", "piece before", tooltip="The piece of code before", id="code-previous"),
        Binding("c", "leave", "close", show=False, tooltip="Back to the lesson", id="code-close"),
    ]

    def __init__(self, sources: list[Source]) -> None:
        super().__init__()
        self.sources = sources
        self.at = 0

    def compose(self) -> ComposeResult:
        listing = Listing(Static(id="code"), classes="dialog full")
        yield listing

    def on_mount(self) -> None:
        self._show()

    def action_piece(self, count: int) -> None:
        self.at = (self.at + count) % len(self.sources)
        self._show()

    def _show(self) -> None:
        source = self.sources[self.at]
        listing = self.query_one(Listing)
        self.query_one("#code", Static).update(Content("\n").join(numbered(source)))
        listing.border_title = Content(f"{self.at + 1} of {len(self.sources)} · {source.name}")
        listing.border_subtitle = "n next · p before · ↓ j  ↑ k scroll · esc close"
        listing.scroll_home(animate=False)


def numbered(source: Source) -> Iterable[Content]:
    """The highlighted lines with their numbers in the file."""
    code = highlight(clean(source.text), language="python", theme=Calm)
    for number, line in enumerate(code.split("\n", allow_blank=True), source.line):
        yield Content.assemble((f"{number:>4}  ", "$faint"), line)
