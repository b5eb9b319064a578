"""The stage: one picture at a time, the names of the others above it as tabs, what is said of it below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.events import Click
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.engine.frames import View
from llm_holes.tui.actions import SCROLL, bindings
from llm_holes.tui.content import content, lines
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fitted, plain
from llm_holes.tui.faults import Steady
from llm_holes.tui.messages import TabChosen
from llm_holes.tui.views.base import ViewWidget
from llm_holes.tui.views.walk import WalkView

KEYS = "[ ]"
SIDE_BY_SIDE = 60
"""Columns that each of two pictures beside each other has at least."""


class Tabs(Steady, Widget):
    """The names of the views; the one on the stage is between ‹ ›, closed ones are grey."""

    names: reactive[tuple[str, ...]] = reactive(())
    closed: reactive[frozenset[str]] = reactive(frozenset[str]())
    current: reactive[str] = reactive("")
    more: reactive[str] = reactive("")
    """What is out of sight below or above."""

    def row(self) -> tuple[Row, list[tuple[int, int, str]]]:
        """The line, and where in it which name can be clicked: (first column, end, name)."""
        tail = f" {self.more} " if self.more else f" {KEYS} " if len(self.names) - len(self.closed) > 1 else ""
        room = self.size.width - cell_len(tail) - 2
        first, shown = self._in_sight(room)
        spans: Row = [Span("─" if not first else "‹", "faint"), Span("─", "faint")]
        places: list[tuple[int, int, str]] = []
        x = 2
        for name in shown:
            text = f"‹ {visible(name)} ›" if name == self.current else f" {visible(name)} "
            role = "act-strong" if name == self.current else "dim" if name in self.closed else ""
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
    """Holds a view, or several below each other, and scrolls them where they are longer than it is.

    A view that was here before keeps its cursor. One without a key is forgotten once another is shown.
    """

    BINDINGS = bindings(SCROLL)
    BINDING_GROUP_TITLE = "At the picture"

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.made: dict[str, ViewWidget[Any]] = {}
        """The widgets of the views that were here, by key."""
        self._arrived = False
        """Whether another view came, whose cursor is to be in sight once it has its place."""

    @property
    def target(self) -> Widget:
        """What takes the focus."""
        return next((widget for widget in self.children if widget.display and widget.focusable), self)

    def fit(self, height: int) -> None:
        """Tells the views how many rows there are."""
        shown = [widget for widget in self.made.values() if widget.display]
        for widget in shown:
            widget.give(height if len(shown) == 1 else 0)

    def arrived(self) -> None:
        """What is here has another place, as if it had just come."""
        self._arrived = True

    def follow(self) -> None:
        """Scrolls to the cursor of a view that has just come, once it has its place."""
        target = self.target
        if self._arrived and isinstance(target, WalkView) and target.region:
            self._arrived = False
            # from where it stood, what was seen would depend on how it came there
            self.scroll_to(y=0, animate=False, immediate=True)
            target.follow()

    def describe(self) -> str:
        return "the picture · space goes on; tab leads to the dials that change it" if not self.max_scroll_y else (
            "the picture · ↓ ↑ show the rest of it"
        )  # fmt: skip

    async def show(self, views: Iterable[View], mark: str = "", twin: View | None = None) -> None:
        """Puts these views up, with a `mark` before their titles. `twin` is the view in the other picture, which is on
        the same scale."""
        # twenty kinds, none of which is on the first screen
        from llm_holes.tui.views.widgets import widget_for, widget_type

        wanted = {f"{view.key} {n}" if n else view.key: view for n, view in enumerate(views)}
        for key, widget in list(self.made.items()):
            if key in wanted and isinstance(widget, widget_type(wanted[key])):
                widget.mark, widget.twin = mark, twin
                widget.view = wanted[key]
                if not widget.display:
                    widget.display = self._arrived = True
            elif key in wanted or not widget.is_attached or not widget.view.key:
                await self.made.pop(key).remove()
            else:
                widget.display = False
        above: ViewWidget[Any] | None = None
        for key, view in wanted.items():
            if key not in self.made:
                self._arrived = True
                widget = self.made[key] = widget_for(view)
                widget.mark, widget.twin = mark, twin
                await (self.mount(widget, before=0) if above is None else self.mount(widget, after=above))
            above = self.made[key]
        self.can_focus = not any(w.display and w.focusable for w in self.made.values())

    async def clear(self) -> None:
        """Takes down everything, cursors too."""
        made, self.made = self.made, {}
        for widget in made.values():
            await widget.remove()


class Stage(Vertical):
    """Shows the view with the key `current`; where two runs are compared, A's left of B's, or above it where there is
    no room for both.

    Views that are closed are nowhere in the widget tree.
    """

    def __init__(self) -> None:
        super().__init__(id="stage")
        self.tabs, self.first, self.picture, self.empty = Tabs(), Picture("pinned"), Picture("picture"), Empty()
        self.pictures = Container(id="pictures")
        self.shown: tuple[View, ...] = ()

    def compose(self) -> ComposeResult:
        yield self.tabs
        with self.pictures:
            yield self.first
            with self.picture:
                yield self.empty

    def on_mount(self) -> None:
        self.first.display = False
        for picture in (self.first, self.picture):
            self.watch(picture, "virtual_size", self._measure_soon, init=False)
            self.watch(picture, "scroll_y", self._measure, init=False)
            self.watch(picture, "size", self._resized, init=False)

    def _fit(self) -> None:
        """Two pictures are drawn equally high, or one scale would be drawn as two."""
        shown = [picture for picture in (self.first, self.picture) if picture.display]
        height = min((picture.scrollable_content_region.height for picture in shown), default=0)
        for picture in shown:
            picture.fit(height)

    def _resized(self) -> None:
        for picture in (self.first, self.picture):
            picture.arrived()  # the cursor stays in sight where there are fewer rows
        self._fit()
        self._measure_soon()

    def _measure_soon(self) -> None:
        # once everything has its place
        self.call_after_refresh(self._measure)

    def on_resize(self) -> None:
        self._lay_out()

    def on_descendant_focus(self) -> None:
        self._measure()

    def _lay_out(self) -> None:
        """Two pictures beside each other are of exactly one width, or one scale would be drawn as two."""
        each = self.size.width // 2
        beside = self.first.display and each >= SIDE_BY_SIDE
        self.pictures.set_class(beside, "-beside")
        for picture in (self.first, self.picture):
            if beside or picture.styles.inline.has_rule("width"):  # even to set what is set lays everything out anew
                picture.styles.width = each if beside else None

    def _measure(self) -> None:
        self._fit()
        for picture in (self.first, self.picture):
            picture.follow()
        picture = self.first if self.first.has_focus_within else self.picture
        below = round(picture.max_scroll_y - picture.scroll_y)
        self.tabs.more = f"{below} rows more ↓" if below > 1 else "1 row more ↓" if below == 1 else (
            "the end ↑" if picture.max_scroll_y else ""
        )  # fmt: skip

    @property
    def target(self) -> Widget:
        """What takes the focus."""
        return self.picture.target

    def wait(self, said: str) -> None:
        """There is no picture yet; says why."""
        self.empty.said = said

    async def show(self, views: Iterable[View], a: View | None = None, mark: str = "") -> None:
        """Puts these views on the stage, below each other; none: the empty axes. `a` is the view they are compared
        with, `mark` what is said before their titles."""
        self.shown = tuple(views)
        if not self.is_attached:
            return
        with self.app.batch_update():
            if a is not None and self.shown:
                await self._show_first(a)
            else:
                self.first.display = False
                await self.first.clear()
            await self.picture.show(self.shown, mark, a)
            self.empty.display = not self.shown
            self._lay_out()
            self._fit()
            self._measure_soon()

    async def _show_first(self, a: View) -> None:
        """Puts A's view up; when it comes, with the cursor where it was in the only picture there was."""
        new, before = a.key not in self.first.made, self.picture.made.get(a.key)
        await self.first.show((a,), "A", self.shown[0])
        widget = self.first.made[a.key]
        if new and isinstance(widget, WalkView) and isinstance(before, WalkView) and type(widget) is type(before):
            widget.set_reactive(WalkView.cursor, before.cursor)
            widget.view = a
        self.first.display = True

    async def clear(self) -> None:
        """Takes down everything, cursors too: another lesson, or views that are closed again."""
        await self.first.clear()
        await self.picture.clear()
        self.first.display = False
        self.shown = ()
        self.empty.display = True
        self.picture.can_focus = True
        self._lay_out()
