"""The Textual app: key → action → request → engine → frame → the reactives that widgets are bound to."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.screen import Screen
from textual.theme import ThemeProvider

from llm_holes.lessons.catalog import catalog as lessons
from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.tui.actions import APP, GLOBAL, OWN_KEYS, bindings
from llm_holes.tui.faults import SurvivingApp
from llm_holes.tui.link import Died, LinkFactory, to_process
from llm_holes.tui.messages import Replied
from llm_holes.tui.palette import HolesCommands, Palette
from llm_holes.tui.screens.lesson import LessonScreen
from llm_holes.tui.stylesheet import ParsedOnce
from llm_holes.tui.themes import DARK, DEFAULTS, LIGHT, for_terminal

if TYPE_CHECKING:
    from llm_holes.engine.ipc.messages import Reply
    from llm_holes.lessons.learner.learner import Learner


class HolesApp(SurvivingApp):
    """The tutor.

    Args:
        client_command: starts the engine process.
        lesson: id of the lesson to open; where the learner left, or the first one, if None.
        link: makes the link to the engine, for tests.
        catalog: the lessons, for tests.
        clock: seconds.
        greet: whether to say what this is, or where the learner was.
        tour: whether to begin with the tour.
        model: what `--model` was given, "" for the default one.
        other_command: starts another engine, to which a key leads and back.
    """

    CSS_PATH = "app.tcss"
    TITLE = "llm-holes"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(APP)]
    COMMANDS = {HolesCommands}  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        client_command: list[str],
        lesson: str | None = None,
        link: LinkFactory | None = None,
        catalog: Catalog | None = None,
        clock: Callable[[], float] = time.monotonic,
        greet: bool = False,
        tour: bool = False,
        model: str = "",
        other_command: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.link = (link or to_process(client_command))(self._receive)
        self.main = LessonScreen(
            catalog or lessons.load(), self.link, lambda: self.learner, lesson, clock, greet, tour, model,
            (client_command, other_command),
        )  # fmt: skip
        for theme in (DARK, LIGHT):
            self.register_theme(for_terminal(theme, self.console.color_system == "standard"))
        if "TEXTUAL_THEME" not in os.environ:
            self.theme = DARK.name
        self.stylesheet = ParsedOnce(variables=self.get_css_variables())

    @cached_property
    def learner(self) -> Learner:
        # not needed for the first paint
        from llm_holes.lessons.learner.learner import Learner

        return Learner()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        known = self.current_theme.to_color_system().generate()
        return {name: known.get(source, source) for name, source in DEFAULTS.items()}

    def get_default_screen(self) -> Screen[None]:
        return self.main

    def _receive(self, reply: Reply | Died) -> None:
        self.main.post_message(Replied(reply))

    async def on_unmount(self) -> None:
        await self.link.close()

    def takes_keys(self) -> bool:
        """Whether what was typed may come: what most keys act on is made after the first screen."""
        return self.main.page is not None and self.main.page.is_mounted

    def save_now(self) -> None:
        """Writes everything, to the disk before it returns. A thread calls it when a signal ends the app."""
        self.main.saving.now()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self.main.quitting

    async def action_quit(self) -> None:
        self.main.quitting = True
        await asyncio.to_thread(self.save_now)
        self.exit()

    def action_theme(self) -> None:
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name

    def action_redraw(self) -> None:
        from llm_holes.tui.terminal.driver import PatientDriver

        if isinstance(self._driver, PatientDriver):
            self._driver.redraw()

    def action_help(self) -> None:
        from llm_holes.tui.screens.help import HelpScreen

        own = tuple(OWN_KEYS[b.binding.id] for b in self.screen.active_bindings.values() if b.binding.id in OWN_KEYS)
        ours = tuple(action for action in GLOBAL if self.main.offers(action))
        title = getattr(self.focused, "BINDING_GROUP_TITLE", None) or "Here"
        self.push_screen(HelpScreen([(title, tuple(dict.fromkeys(own))), ("Everywhere", ours)]))

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def search_themes(self) -> None:
        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes…"))
