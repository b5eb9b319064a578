from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from llm_holes.tui.screens.dialog import Dialog


class PickScreen(Dialog[int]):
    """A short list to choose from; each entry has a line that explains it. Gives the index, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "move(1)", "down", show=False, tooltip="Next entry", id="pick-down"),
        Binding("k", "move(-1)", "up", show=False, tooltip="Entry before", id="pick-up"),
    ]

    def __init__(self, title: str, entries: list[tuple[str, str]], at: int = 0) -> None:
        super().__init__()
        self.title_text, self.entries, self.at = title, entries, at

    def compose(self) -> ComposeResult:
        box = Vertical(OptionList(*map(_option, self.entries), compact=True), classes="dialog")
        box.border_title = self.title_text
        box.border_subtitle = "enter choose · esc close"
        yield box

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = self.at

    def action_move(self, count: int) -> None:
        options = self.query_one(OptionList)
        options.action_cursor_down() if count > 0 else options.action_cursor_up()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)


def _option(entry: tuple[str, str]) -> Option:
    name, why = entry
    return Option(Content.assemble((name, "bold"), ("\n" + why + "\n" if why else "", "$muted")))
