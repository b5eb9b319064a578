from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from llm_holes.tui.actions import SCROLL, Action, bindings
from llm_holes.tui.content import lines
from llm_holes.tui.draw.spans import Row, Span, fit, wrapped
from llm_holes.tui.screens.dialog import Dialog

KEY_WIDTH = 14
LABEL_WIDTH = 14


class Sheet(VerticalScroll, can_focus=True):
    BINDINGS = bindings(SCROLL)


class HelpScreen(Dialog[None]):
    """The keys of what was focused, then everything the app can do."""

    def __init__(self, groups: list[tuple[str, tuple[Action, ...]]]) -> None:
        super().__init__()
        self.groups = groups

    def compose(self) -> ComposeResult:
        sheet = Sheet(Static(id="keys"), classes="dialog")
        sheet.border_title = "help"
        sheet.border_subtitle = "↓ j  ↑ k scroll · esc close"
        yield sheet

    def on_mount(self) -> None:
        self._show()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        width = max(self.query_one(Sheet).scrollable_content_region.width or 60, KEY_WIDTH + LABEL_WIDTH + 20)
        rows: list[Row] = []
        for title, actions in self.groups:
            rows.append([Span(title, "strong")])
            for action in actions:
                rows += _rows(action.shown or action.keys.replace(",", " "), action.label, action.tooltip, width)
            rows.append([])
        rows += _rows("tab", "next", "From one thing to the next; shift+tab goes back", width)
        self.query_one("#keys", Static).update(lines(rows))


def _rows(keys: str, label: str, does: str, width: int) -> list[Row]:
    first, *rest = wrapped(does, width - KEY_WIDTH - LABEL_WIDTH)
    indent = Span(" " * (KEY_WIDTH + LABEL_WIDTH))
    head = [Span(fit(keys, KEY_WIDTH), "act-strong"), Span(fit(label, LABEL_WIDTH)), Span(first, "dim")]
    return [head, *([indent, Span(line, "dim")] for line in rest)]
