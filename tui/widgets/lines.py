"""The two lines at the bottom: what the cursor is on, and which keys work now."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.tui.clean import visible
from llm_holes.tui.draw import fit

GAP = 2


class HintLine(Widget):
    """Describes the focused widget or the cell its cursor is on. The text may be foreign: it is drawn literally."""

    text: reactive[str] = reactive("")

    def render(self) -> VisualType:
        return Content(fit(visible(self.text), self.size.width))


class KeyBar(Widget):
    """The keys that do something now, as many as fit; the focused widget's own come first, help and quit stay."""

    keys: reactive[tuple[tuple[str, str, str], ...]] = reactive(())
    """(key, label, action) in order of importance."""

    LAST = ("help", "quit")

    def render(self) -> VisualType:
        return Content("  ").join(
            Content.assemble((key, "bold $act"), (f" {label}", "$muted")) for key, label, _ in self.fitting()
        )

    def fitting(self) -> list[tuple[str, str, str]]:
        tail = [entry for entry in self.keys if entry[1] in self.LAST]
        room = self.size.width - sum(map(_width, tail))
        shown = []
        for entry in self.keys:
            if entry not in tail and _width(entry) <= room:
                room -= _width(entry)
                shown.append(entry)
        return [*shown, *tail]

    async def on_click(self, event: Click) -> None:
        x = event.x
        for entry in self.fitting():
            if 0 <= x < _width(entry) - GAP:
                await self.app.run_action(entry[2], self.app.focused if entry[2].startswith("focused.") else None)
            x -= _width(entry)


def _width(entry: tuple[str, str, str]) -> int:
    return cell_len(entry[0]) + 1 + cell_len(entry[1]) + GAP
