"""The Textual app: key → action → request → engine → frame → the live panel's one reactive."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from llm_holes.lessons.catalog import catalog as lessons
from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.tui.actions import CHOOSE, GLOBAL, PREDICT, SCROLL, STEP, SWITCH, TREE, WALK, WRITE, bindings
from llm_holes.tui.link import LinkFactory, to_process
from llm_holes.tui.messages import Described, OpenLesson
from llm_holes.tui.palette import HolesCommands
from llm_holes.tui.screens.pick import PickScreen
from llm_holes.tui.themes import DARK, DEFAULTS, LIGHT, for_terminal
from llm_holes.tui.tutor_app import NARROW, WIDE
from llm_holes.tui.way_app import WayApp
from llm_holes.tui.widgets.case_line import CaseLine
from llm_holes.tui.widgets.lesson_page import LessonPage
from llm_holes.tui.widgets.lesson_tree import LessonTree
from llm_holes.tui.widgets.lines import HintLine, KeyBar, ObjectiveLine
from llm_holes.tui.widgets.live_panel import LivePanel
from llm_holes.tui.widgets.pane import Pane
from llm_holes.tui.widgets.status_line import StatusLine

PANES = ("holes", "lesson", "live")
OWN_KEYS = {
    action.id: action for group in (TREE, SCROLL, WALK, STEP, CHOOSE, SWITCH, WRITE, PREDICT) for action in group
}


class HolesApp(WayApp):
    """The tutor.

    Args:
        client_command: starts the engine process.
        lesson: id of the lesson to open; where the learner left, or the first one, if None.
        link: makes the link to the engine, for tests.
        catalog: the lessons, for tests.
        clock: seconds.
    """

    CSS_PATH = "app.tcss"
    TITLE = "llm-holes"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(GLOBAL)]
    BINDING_GROUP_TITLE = "Everywhere"
    COMMANDS = {HolesCommands}  # noqa: RUF012
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (NARROW, "-medium"), (WIDE, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        client_command: list[str],
        lesson: str | None = None,
        link: LinkFactory | None = None,
        catalog: Catalog | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(link or to_process(client_command), clock)
        self.animation_level = "none"
        self.catalog = catalog or lessons.load()
        self.pane = "holes"
        self.first = lesson
        for theme in (DARK, LIGHT):
            self.register_theme(for_terminal(theme, self.console.color_system == "standard"))
        if "TEXTUAL_THEME" not in os.environ:
            self.theme = DARK.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        known = self.current_theme.to_color_system().generate()
        return {name: known.get(source, source) for name, source in DEFAULTS.items()}

    def get_default_screen(self) -> Screen[None]:
        return Screen(id="_default", classes="-at-holes")

    def compose(self) -> ComposeResult:
        self.status, self.holes, self.page, self.panel = (
            StatusLine(), LessonTree(self.catalog), LessonPage(self.catalog), LivePanel()
        )  # fmt: skip
        self.hint, self.footer = HintLine(), KeyBar()
        self.objective, self.case_line = ObjectiveLine(), CaseLine()
        yield self.status
        yield self.objective
        yield self.case_line
        with Horizontal(id="body"):
            yield self.holes
            with Pane(id="page"):
                yield self.page
                yield self.panel
        yield self.hint
        yield self.footer
        yield Static("llm-holes needs a terminal of at least 60 × 16", id="small")

    def on_mount(self) -> None:
        self.status.holes = len(self.catalog.lessons)
        self.holes.focus()
        self.watch(self.screen, "focused", self._focus_moved)
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self._show_keys())
        self.call_after_refresh(self._after_first_paint)

    def _after_first_paint(self) -> None:
        self.run_worker(self._link.start(), name="engine")
        self.run_worker(self._begin())

    # -- the page -----------------------------------------------------------------------------------------------------

    async def _open(self, lesson_id: str, remember: bool) -> None:
        lesson = self.catalog[lesson_id]
        if lesson is self.lesson:
            return
        if self.lesson is not None and remember:
            self._trail.append(self.lesson.id)
        self._drop_timers()
        self.session.leave()
        if self.pane == "live" and self.lesson is not None:
            self.action_pane("lesson")  # what has the focus there is about to be replaced
        self.lesson = lesson
        self._visit()
        self.objective.lesson = lesson
        self._show_session()
        settings = self._settings.setdefault(lesson.id, lesson.defaults())
        await self.panel.show(lesson, settings)
        self._read_settings()
        await self.page.show(lesson, self.session.model)
        self.holes.reveal(lesson.id)
        self.refresh_bindings()

    @on(OpenLesson)
    def _opened(self, event: OpenLesson) -> None:
        self.open_lesson(event.lesson)
        if self.size.width < NARROW:
            self.action_pane("lesson")

    @on(Described)
    def _described(self, event: Described) -> None:
        if event.widget is self.focused:
            self.hint.text = event.widget.describe()  # type: ignore[attr-defined]

    def _focus_moved(self, focused: Widget | None) -> None:
        if focused is None or self.screen.is_modal:
            return
        describe = getattr(focused, "describe", None)
        self.hint.text = describe() if describe else ""
        here = next((node.id for node in focused.ancestors_with_self if node.id in PANES), None)
        if here is not None and here != self.pane:
            self._pane(self.pane).remove_class("-here")
            self._pane(here).add_class("-here")
            self._turn_to(here)

    def _pane(self, name: str) -> Widget:
        return {"holes": self.holes, "lesson": self.page, "live": self.panel}[name]

    def _turn_to(self, pane: str) -> None:
        if pane != self.pane:
            self.screen.remove_class(f"-at-{self.pane}", update=False)
            self.screen.add_class(f"-at-{pane}")
            self.pane = pane

    def _show_keys(self) -> None:
        if not self.is_running or self.screen.is_modal:
            return
        keys: dict[str, tuple[str, str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.id:
                prefix = "" if active.node is self or binding.action.startswith("app.") else "focused."
                keys.setdefault(
                    binding.id, (binding.key_display or binding.key, binding.description, prefix + binding.action)
                )
        own = [entry for name, entry in keys.items() if name in OWN_KEYS]
        ours = [keys[action.id] for action in GLOBAL if action.id in keys]
        self.footer.keys = (*own, *ours)

    # -- what the learner can do ---------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is possible now; the footer, help and palette show only that."""
        if self.quitting:
            return False
        opened = self.lesson is not None
        possible = {
            "run": opened,
            "cancel": self.session.run.active,
            **dict.fromkeys(("next_preset", "presets", "code", "quiz"), opened),
            "pin": self.finished is not None or self.pinned is not None,
            "keep": self.finished is not None and self.session.run.case is None,
            "intact": self.open_case is not None,
            "go": self.lesson is not None,
            "up": self.above is not None,
            "deeper": bool(self.below),
            "back": bool(self._trail),
        }
        if action == "pane":
            return parameters[:1] != (self.pane,) and (opened or parameters[:1] != ("live",))
        return possible.get(action, True)

    def action_run(self) -> None:
        self._run()
        if self.panel.form.question is not None:
            return
        if self.size.width < NARROW and self.pane != "live":
            self.action_pane("live")
        self.panel.wanted = self.size.width < WIDE

    def action_cancel(self) -> None:
        if self._rerun is not None:
            self._rerun.stop()
        self.session.cancel()
        self._show_session()

    def action_next_preset(self) -> None:
        if (picker := self.panel.presets) is not None:
            self.choose_preset(picker.following())

    def action_presets(self) -> None:
        if self.lesson is None or (picker := self.panel.presets) is None:
            return
        entries = [(preset.name, preset.why) for preset in self.lesson.presets]
        self.push_screen(PickScreen("presets", entries, picker.chosen or 0), self._preset_picked)

    def _preset_picked(self, index: int | None) -> None:
        if index is not None:
            self.choose_preset(index)

    def action_code(self) -> None:
        # the highlighter and its lexers are only needed here
        from llm_holes.tui.screens.code import CodeScreen
        from llm_holes.tui.state.sources import sources

        if self.lesson is not None:
            self.push_screen(CodeScreen(sources(self.lesson)))

    def action_next_pane(self) -> None:
        panes = PANES if self.lesson is not None else PANES[:2]
        self.action_pane(panes[(panes.index(self.pane) + 1) % len(panes)])

    def action_pane(self, pane: str) -> None:
        """Turns to a pane and puts the focus on its first thing that takes keys without typing them."""
        self._turn_to(pane)
        target = self.panel.first if pane == "live" else self._pane(pane)
        if pane == "live" and self.size.width < WIDE:
            (target if target is self.panel.form else self.panel).scroll_visible(top=True, animate=False)
        if target is not None:
            target.focus(scroll_visible=pane != "live")

    def action_theme(self) -> None:
        self.theme = LIGHT.name if self.current_theme.dark else DARK.name

    def action_help(self) -> None:
        from llm_holes.tui.screens.help import HelpScreen

        own = tuple(OWN_KEYS[b.binding.id] for b in self.screen.active_bindings.values() if b.binding.id in OWN_KEYS)
        ours = tuple(action for action in GLOBAL if self.check_action(action.action.partition("(")[0], ()))
        title = getattr(self.focused, "BINDING_GROUP_TITLE", None) or "Here"
        self.push_screen(HelpScreen([(title, tuple(dict.fromkeys(own))), ("Everywhere", ours)]))

    def action_command_palette(self) -> None:
        super().action_command_palette()
        self.call_after_refresh(self._calm_palette)

    def _calm_palette(self) -> None:
        """A blinking cursor would send 2.5 kB a second over an idle link."""
        for field in self.screen.query(Input):
            field.cursor_blink = False
