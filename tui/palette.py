"""What the command palette finds: lessons by title and term, presets, actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.widgets import Input

from llm_holes.tui.actions import GLOBAL

if TYPE_CHECKING:
    from llm_holes.tui.screens.lesson import LessonScreen

Command = tuple[str, str, Callable[[], object]]
"""Name, help, what to do."""


class Palette(CommandPalette):
    """Textual's, which the program can be left from, too. A blinking cursor would send 2.5 kB a second over an idle
    link."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+q", "app.quit", show=False, priority=True)]

    def on_mount(self) -> None:
        self.query_one(Input).cursor_blink = False


class HolesCommands(Provider):
    @property
    def holes(self) -> LessonScreen:
        from llm_holes.tui.screens.lesson import LessonScreen

        assert isinstance(self.screen, LessonScreen)
        return self.screen

    def commands(self) -> Iterator[Command]:
        holes = self.holes
        for action in GLOBAL:
            if action.id != "palette" and holes.offers(action):
                yield action.tooltip, f"key {action.key}", partial(holes.perform, action)
        for index, preset in enumerate(holes.lesson.presets if holes.lesson else ()):
            yield f"preset: {preset.name}", preset.why, partial(holes.choose_preset, index)
        for lesson in holes.catalog.lessons.values():
            yield f"hole: {lesson.title}", lesson.data.objective, partial(holes.open_lesson, lesson.id)
        yield "theme: all themes", "Choose among all themes there are", self.app.search_themes

    async def discover(self) -> Hits:
        for name, note, callback in self.commands():
            yield DiscoveryHit(Content(name), callback, name, _literal(note))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, note, callback in [*self.commands(), *self._terms()]:
            score, offsets = matcher.fuzzy_search.match(query, name)
            if score > 0:
                found = Content(name)
                for offset in offsets:
                    found = found.stylize(matcher.match_style, offset, offset + 1)
                yield Hit(score, found, callback, name, _literal(note))

    def _terms(self) -> Iterator[Command]:
        for lesson in self.holes.catalog.lessons.values():
            for term, meaning in lesson.data.terms.items():
                yield f"term: {term}", f"{meaning} ({lesson.title})", partial(self.holes.open_lesson, lesson.id)


def _literal(note: str) -> str:
    """The palette reads a plain string as markup, but takes ready content as it is."""
    return cast(str, Content(note))
