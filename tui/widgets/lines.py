"""The two lines at the bottom: what the cursor is on, and which keys work now."""

from __future__ import annotations

from llm_holes.tui.clean import visible
from llm_holes.tui.draw import fit
from textual.content import Content
from textual.reactive import reactive
from textual.style import Style
from textual.visual import VisualType
from textual.widget import Widget


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
        tail = [entry for entry in self.keys if entry[1] in self.LAST]
        rest = [entry for entry in self.keys if entry[1] not in self.LAST]
        room = self.size.width - sum(map(_width, tail))
        shown = []
        for entry in rest:
            if _width(entry) > room:
                break
            room -= _width(entry)
            shown.append(entry)
        return Content("  ").join(map(_entry, [*shown, *tail]))


def _width(entry: tuple[str, str, str]) -> int:
    return len(entry[0]) + 1 + len(entry[1]) + 2


def _entry(entry: tuple[str, str, str]) -> Content:
    key, label, action = entry
    return Content.assemble((key, "bold $act"), (f" {label}", "$muted")).stylize(Style.from_meta({"@click": action}))
