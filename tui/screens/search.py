from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.lessons.catalog.search import Hit, find
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.screens.dialog import Dialog


class FindScreen(Dialog[str]):
    """Type to narrow a list, Enter goes there. Gives a lesson's id, or None. Subclasses say what is found."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,ctrl+n", "move(1)", "down", show=False, priority=True, tooltip="Next hit", id="search-down"),
        Binding("up,ctrl+k", "move(-1)", "up", show=False, priority=True, tooltip="Hit before", id="search-up"),
    ]
    TITLE_TEXT: ClassVar[str]
    PLACEHOLDER: ClassVar[str]
    NOTHING: ClassVar[str]

    def found(self, query: str) -> list[Option]:
        """The hits, best first; the id of each ends with its lesson's."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        field = Input(placeholder=self.PLACEHOLDER, compact=True)
        field.cursor_blink = False
        hits = OptionList(compact=True)
        hits.can_focus = False
        box = Vertical(field, hits, classes="dialog")
        box.border_title = self.TITLE_TEXT
        box.border_subtitle = "↑ ↓ choose · enter go · esc close"
        yield box

    def on_mount(self) -> None:
        self._list("")

    def on_input_changed(self, event: Input.Changed) -> None:
        # combining marks that were typed one by one
        event.input.value = visible(event.value)
        self._list(event.value)

    def on_input_submitted(self) -> None:
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            self._leave_for(options.get_option_at_index(options.highlighted).id)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._leave_for(event.option_id)

    def _leave_for(self, option_id: str | None) -> None:
        self.dismiss(option_id.split()[-1] if option_id else None)

    def action_move(self, count: int) -> None:
        options = self.query_one(OptionList)
        options.action_cursor_down() if count > 0 else options.action_cursor_up()

    def _list(self, query: str) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        hits = self.found(query)
        options.add_options(hits or [Option(self.NOTHING, disabled=True)])
        options.highlighted = 0 if hits else None


class SearchScreen(FindScreen):
    """Lessons by title, term or words."""

    TITLE_TEXT, PLACEHOLDER = "search", "title, term or words of a lesson"
    NOTHING = "no lesson has these words"

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.catalog = catalog

    def found(self, query: str) -> list[Option]:
        return [_option(hit) for hit in find(self.catalog, query)]


def _option(hit: Hit) -> Option:
    lesson = hit.lesson
    where = f"\n    {hit.where}" if hit.where else ""
    tier = f"  tier {lesson.tier}"
    text = Content.assemble(("● ", "$act"), (lesson.title, "bold"), (tier, "$muted"), (where, "$muted"))
    return Option(text, id=lesson.id)
