from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from llm_holes.tui.actions import SCROLL, Action, bindings
from llm_holes.tui.draw import Row, Span, fit
from llm_holes.tui.paint import lines
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
        rows: list[Row] = []
        for title, actions in self.groups:
            rows += [[Span(title, "strong")], *map(_row, actions), []]
        rows.append(
            [Span(fit("tab", KEY_WIDTH), "act-strong"), Span("From one thing to the next; shift+tab goes back")]
        )
        sheet = Sheet(Static(lines(rows)), classes="dialog")
        sheet.border_title = "help"
        sheet.border_subtitle = "↓ j  ↑ k scroll · q close"
        yield sheet


def _row(action: Action) -> Row:
    keys = action.shown or action.keys.replace(",", " ")
    return [Span(fit(keys, KEY_WIDTH), "act-strong"), Span(fit(action.label, LABEL_WIDTH)), Span(action.tooltip, "dim")]
