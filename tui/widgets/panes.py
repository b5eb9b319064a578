from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget

from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.tui.widgets.lesson_page import LessonPage
from llm_holes.tui.widgets.lesson_tree import LessonTree
from llm_holes.tui.widgets.live_panel import LivePanel
from llm_holes.tui.widgets.pane import Pane

NAMES = ("holes", "lesson", "live")
NARROW, WIDE = 100, 160
"""Columns from which there are two panes, and three."""


class Panes(Horizontal):
    """The tree of holes, the lesson to read and the live panel: side by side, one long page, or one at a time.

    `here` is the pane that is turned to: where the focus is, or was last.
    """

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(id="body")
        self.here = "holes"
        # held rather than found: replies also come while the screen is put together, and below a dialog
        self.holes, self.page, self.panel = LessonTree(catalog), LessonPage(catalog), LivePanel()

    def parts(self) -> ComposeResult:
        """What is in it, for the screen to compose along with the rest: a round of mounting of their own would hold up
        the first paint."""
        with self:
            yield self.holes
            with Pane(id="page"):
                yield self.page
                yield self.panel

    @property
    def one_at_a_time(self) -> bool:
        return self.screen.size.width < NARROW

    @property
    def side_by_side(self) -> bool:
        return self.screen.size.width >= WIDE

    def turn_to(self, name: str) -> None:
        """Brings a pane into sight where only one is; the focus stays."""
        if name != self.here:
            self.screen.remove_class(f"-at-{self.here}", update=False)
            self.screen.add_class(f"-at-{name}")
            self.here = name

    def go(self, name: str) -> None:
        """Turns to a pane and puts the focus on its first thing that takes keys without typing them."""
        self.turn_to(name)
        target = self.panel.first if name == "live" else self._pane(name)
        if name == "live" and not self.side_by_side:
            (target if target is self.panel.form else self.panel).scroll_visible(top=True, animate=False)
        if target is not None:
            target.focus(scroll_visible=name != "live")

    def follow(self, focused: Widget) -> None:
        """The focus moved: turns to the pane it is in, and lights that pane's title."""
        name = next((node.id for node in focused.ancestors_with_self if node.id in NAMES), None)
        if name is not None and name != self.here:
            self._pane(self.here).remove_class("-here")
            self._pane(name).add_class("-here")
            self.turn_to(name)

    def lines(self) -> dict[str, int]:
        """The line at the top of each pane that was scrolled."""
        return {pane.id: pane.line for pane in self._scrolling() if pane.id and pane.line}

    def scroll_to_lines(self, lines: dict[str, int]) -> None:
        """Scrolls each pane to its line; those not named, to the top."""
        for pane in self._scrolling():
            pane.go_to(lines.get(pane.id or "", 0))

    def _scrolling(self) -> list[Pane]:
        """What scrolls: the two panes, and the one around them where they are one page."""
        return [pane for pane in (*self.page.ancestors_with_self, self.panel) if isinstance(pane, Pane)]

    def _pane(self, name: str) -> Widget:
        return {"holes": self.holes, "lesson": self.page, "live": self.panel}[name]
