"""The stage: one picture at a time, the names of the others above it as tabs, what is said of it below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.events import Click
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.engine.frames import View
from llm_holes.tui.actions import SCROLL, bindings
from llm_holes.tui.content import content, lines
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fitted, plain
from llm_holes.tui.messages import TabChosen
from llm_holes.tui.views import widget_for, widget_type
from llm_holes.tui.views.base import ViewWidget
from llm_holes.tui.views.walk import WalkView

KEYS = "[ ]"


class Tabs(Widget):
    """The names of the views; the one on the stage is between ‹ ›, closed ones are grey."""

    names: reactive[tuple[str, ...]] = reactive(())
    closed: reactive[frozenset[str]] = reactive(frozenset[str]())
    current: reactive[str] = reactive("")
    more: reactive[str] = reactive("")
    """What is out of sight below or above."""

    def row(self) -> tuple[Row, list[tuple[int, int, str]]]:
        """The line, and where in it which name can be clicked: (first column, end, name)."""
        tail = f" {self.more} " if self.more else f" {KEYS} " if len(self.names) > 1 else ""
        room = self.size.width - cell_len(tail) - 2
        first, shown = self._in_sight(room)
        spans: Row = [Span("─" if not first else "‹", "faint"), Span("─", "faint")]
        places: list[tuple[int, int, str]] = []
        x = 2
        for name in shown:
            text = f"‹ {visible(name)} ›" if name == self.current else f" {visible(name)} "
            role = "act-strong" if name == self.current else "faint" if name in self.closed else "dim"
            spans += [Span(text, role), Span("──", "faint")]
            if name not in self.closed:
                places.append((x, x + cell_len(text), name))
            x += cell_len(text) + 2
        hidden = len(self.names) - first - len(shown)
        spans = fitted(spans, room + 2)
        used = cell_len(plain(spans))
        rest = f" +{hidden} " if hidden and used + 5 < self.size.width - cell_len(tail) else ""
        spans.append(Span("─" * max(self.size.width - used - cell_len(rest + tail), 0), "faint"))
        return [*spans, Span(rest, "dim"), Span(tail, "dim")], places

    def _in_sight(self, room: int) -> tuple[int, list[str]]:
        """The first name that is shown, and those shown: as many as fit, the current one among them."""
        widths = [cell_len(visible(name)) + 4 + 2 * (name == self.current) for name in self.names]
        at = self.names.index(self.current) if self.current in self.names else 0
        first = 0
        while first < at and sum(widths[first : at + 1]) > room:
            first += 1
        end = first
        while end < len(widths) and sum(widths[first : end + 1]) <= room:
            end += 1
        return first, list(self.names[first : max(end, at + 1)])

    def render(self) -> VisualType:
        return content(self.row()[0])

    def on_click(self, event: Click) -> None:
        for start, end, name in self.row()[1]:
            if start <= event.x < end:
                self.post_message(TabChosen(name))


class Empty(Widget):
    """The axes of a picture that is still to come, and what it waits for."""

    said: reactive[str] = reactive("")

    def render(self) -> VisualType:
        width, height = max(self.size.width, 12), max(self.size.height, 2)
        rows: list[Row] = [[Span("  │", "faint")] for _ in range(height - 1)]
        rows.append([Span("  └" + "─" * (width - 6), "faint")])
        text = visible(self.said)
        middle = max((height - 1) // 2, 0)
        rows[middle].append(Span(text.center(width - 6), "dim"))
        return lines([fitted(row, width) for row in rows])


class Picture(VerticalScroll, can_focus=True):
    """Holds the view, and scrolls it where it is longer than the stage."""

    BINDINGS = bindings(SCROLL)
    BINDING_GROUP_TITLE = "At the picture"

    def describe(self) -> str:
        return "the picture · space goes on; e and tab change what it shows" if not self.max_scroll_y else (
            "the picture · ↓ ↑ show the rest of it"
        )  # fmt: skip


class Stage(Vertical):
    """Shows the view with the key `current`; where two frames are compared, A's beside B's.

    Views that are closed are nowhere in the widget tree; a view that was on the stage before keeps its cursor.
    """

    def __init__(self) -> None:
        super().__init__(id="stage")
        self.tabs, self.picture, self.empty = Tabs(), Picture(id="picture"), Empty()
        self._made: dict[str, ViewWidget[Any]] = {}
        """The widgets that were on the stage, by key."""
        self._arrived = False
        """Whether another picture came on the stage, whose cursor is to be in sight once it has its place."""
        self.shown: tuple[View, ...] = ()

    def compose(self) -> ComposeResult:
        yield self.tabs
        with self.picture:
            yield self.empty

    def on_mount(self) -> None:
        self.watch(self.picture, "virtual_size", self._measure_soon, init=False)
        self.watch(self.picture, "scroll_y", self._measure, init=False)
        self.watch(self.picture, "size", self._resized, init=False)

    def _fit(self) -> None:
        """Tells the pictures how many rows they have."""
        shown = [widget for widget in self._made.values() if widget.display]
        height = self.picture.scrollable_content_region.height
        for widget in shown:
            widget.give(height if len(shown) == 1 else 0)

    def _resized(self) -> None:
        self._arrived = True  # the cursor stays in sight where there are fewer rows
        self._fit()
        self._measure_soon()

    def _measure_soon(self) -> None:
        # once everything has its place
        self.call_after_refresh(self._measure)

    def _measure(self) -> None:
        if self._arrived and isinstance(self.target, WalkView) and self.target.region:
            self._arrived = False
            self.target.follow()
        below = round(self.picture.max_scroll_y - self.picture.scroll_y)
        self.tabs.more = f"{below} rows more ↓" if below > 1 else "1 row more ↓" if below == 1 else (
            "the end ↑" if self.picture.max_scroll_y else ""
        )  # fmt: skip

    @property
    def target(self) -> Widget:
        """What takes the focus."""
        for widget in self.picture.children:
            if widget.display and widget.focusable:
                return widget
        return self.picture

    def wait(self, said: str) -> None:
        """There is no picture yet; says why."""
        self.empty.said = said

    async def show(self, views: Iterable[View], beside: tuple[str, View | None] = ("", None)) -> None:
        """Puts these views on the stage, below each other; none: the empty axes. `beside` is A's view, when two runs
        are compared."""
        self.shown = tuple(views)
        if not self.is_attached:
            return
        wanted = {f"{view.key} {n}" if n else view.key: view for n, view in enumerate(self.shown)}
        if beside[1] is not None and self.shown:
            wanted = {"A " + beside[0]: beside[1], **wanted}
        with self.app.batch_update():
            for key, widget in list(self._made.items()):
                if key in wanted and isinstance(widget, widget_type(wanted[key])):
                    widget.view = wanted[key]
                    self._arrived = self._arrived or not widget.display
                    widget.display = True
                elif key in wanted or not widget.is_attached:
                    await self._made.pop(key).remove()
                else:
                    widget.display = False
            for key, view in wanted.items():
                if key not in self._made:
                    self._arrived = True
                    self._made[key] = widget_for(view)
                    await self.picture.mount(self._made[key])
            self.picture.set_class(len(wanted) == 2 and beside[1] is not None, "-compared")
            self.empty.display = not wanted
            self._fit()
            self._measure_soon()
            self.picture.can_focus = not any(w.display and w.focusable for w in self._made.values())

    async def clear(self) -> None:
        """Takes down everything, cursors too: another lesson, or views that are closed again."""
        made, self._made = self._made, {}
        for widget in made.values():
            await widget.remove()
        self.shown = ()
        self.empty.display = True
        self.picture.can_focus = True
