from __future__ import annotations

from textual.containers import VerticalScroll

from llm_holes.tui.actions import SCROLL, bindings
from llm_holes.tui.messages import Scrolled


class Pane(VerticalScroll, can_focus=False):
    """Something that scrolls with j and k as well as with the arrows."""

    BINDINGS = bindings(SCROLL)
    BINDING_GROUP_TITLE = "Reading"

    _goal: int | None = None
    """The line to scroll to as soon as the pane is on the screen: one that is hidden has no height to scroll in."""

    @property
    def line(self) -> int:
        """The line at the top."""
        return int(self.scroll_y) if self._goal is None else self._goal

    def go_to(self, line: int) -> None:
        """Scrolls to the line, at once or when the pane is shown."""
        self._goal = line if line and not self.size else None
        self.scroll_to(y=line, animate=False)

    def on_show(self) -> None:
        if self._goal is not None:
            self.go_to(self._goal)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(Scrolled())
