"""A view with a cursor: arrows walk it, Enter uses the place for the controls the view names."""

from __future__ import annotations

from typing import Generic, Self

from textual.events import Click
from textual.geometry import Region
from textual.reactive import reactive
from textual.widget import Widget

from llm_holes.engine.frames import Value
from llm_holes.tui.actions import WALK, bindings
from llm_holes.tui.messages import Described, Picked
from llm_holes.tui.views.base import V, ViewWidget


class WalkView(ViewWidget[V], Generic[V], can_focus=True):
    """Subclasses say where a step leads, what is there and what Enter sets. The cursor is (row, column)."""

    BINDINGS = bindings(WALK)
    BINDING_GROUP_TITLE = "Walking in a view"

    cursor: reactive[tuple[int, int]] = reactive((0, 0))
    _followed = (0, 0)
    """Where the cursor was when a view came."""

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        raise NotImplementedError

    def edge(self, end: int) -> tuple[int, int]:
        """The first (0) or last (-1) place in the cursor's row."""
        raise NotImplementedError

    def describe(self) -> str:
        raise NotImplementedError

    def settings_here(self) -> dict[str, Value]:
        raise NotImplementedError

    def cursor_region(self) -> Region:
        """Where the cursor is drawn, inside this widget."""
        raise NotImplementedError

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        raise NotImplementedError

    def action_walk(self, across: int, down: int) -> None:
        self.cursor = self.stepped(across, down)

    def action_walk_to(self, end: int) -> None:
        self.cursor = self.edge(end)

    def action_pick(self) -> None:
        if settings := self.settings_here():
            self.post_message(Picked(settings))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.settings_here()) if action == "pick" else True

    def watch_cursor(self) -> None:
        self.post_message(Described(self))
        if self.has_focus:
            self.call_after_refresh(self.follow)

    def watch_view(self) -> None:
        if self.has_focus:
            self.post_message(Described(self))  # something else may stand at the cursor now
        self._followed, followed = self.cursor, self._followed
        if followed != self.cursor:
            self.call_after_refresh(self.follow)

    def focus(self, scroll_visible: bool = False) -> Self:
        """Takes the focus; the pane scrolls to the cursor, not to the middle of the picture."""
        return super().focus(scroll_visible)

    def on_focus(self) -> None:
        self.post_message(Described(self))
        self.call_after_refresh(self.follow)

    def on_click(self, event: Click) -> None:
        if (place := self.place_at(event.x, event.y)) is not None:
            self.cursor = place

    def follow(self) -> None:
        """Scrolls the pane so that the cursor is in sight."""
        for pane in self.ancestors:
            if isinstance(pane, Widget) and pane.allow_vertical_scroll:
                pane.scroll_to_region(
                    self.cursor_region().translate(self.virtual_region.offset), animate=False, immediate=True
                )
                return
