"""The lines around the lesson: where in the machine it is, what the cursor is on, and which keys work now."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.reactive import reactive, var
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.tui.actions import GLOBAL, OWN_KEYS
from llm_holes.tui.content import content
from llm_holes.tui.draw.lesson_text import pipeline
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import fit
from llm_holes.tui.faults import Steady

GAP = 2


class StageLine(Widget):
    """The trip of a message in one line, with the lesson's own stages lit."""

    lesson: reactive[Lesson | None] = reactive(None)

    def render(self) -> VisualType:
        return content(pipeline(self.lesson.data.stages, self.content_size.width)) if self.lesson is not None else ""


class HintLine(Widget):
    """Describes the focused widget or the cell its cursor is on. The text may be foreign: it is drawn literally."""

    text: reactive[str] = reactive("")

    def render(self) -> VisualType:
        return Content(fit(visible(self.text), self.size.width))


class KeyBar(Steady, Widget):
    """The keys that do something now, as many as fit; the focused widget's own come first, help and quit stay."""

    keys: reactive[tuple[tuple[str, str, str], ...]] = reactive(())
    """(key, label, action) in order of importance."""

    labels: var[dict[str, str]] = var[dict[str, str]](dict)
    """What a key is called just now, by the id of its action."""

    leads: var[str] = var("")
    """The id of the action that is most of use just now, if there is one: it is the first or second that is shown."""

    LAST = ("all keys", "quit")

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self._gather())

    def _gather(self) -> None:
        """Takes what the screen can do now: what is focused first, then the rest in the registry's order."""
        if not self.screen.is_current:
            return
        owners = {self.screen: "screen.", self.app: "app."}
        keys: dict[str, tuple[str, str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and binding.id:
                owner = "" if binding.action.startswith(("app.", "screen.")) else owners.get(active.node, "focused.")
                label = self.labels.get(binding.id, binding.description)
                keys.setdefault(binding.id, (binding.key_display or binding.key, label, owner + binding.action))
        own = [entry for name, entry in keys.items() if name in OWN_KEYS]
        focused = self.screen.focused
        if focused is not None and focused.check_consume_key("a", "a"):  # where a letter is a letter
            self.keys = tuple(own)
            return
        names = [action.id for action in GLOBAL if action.id in keys]
        if self.leads in names:
            names.remove(self.leads)
            names.insert(1, self.leads)
        ours = [keys[name] for name in names]
        self.keys = (*own, *ours)

    def render(self) -> VisualType:
        return Content("  ").join(
            Content.assemble((key, "bold $act"), (f" {label}", "$muted")) for key, label, _ in self.fitting()
        )

    def fitting(self) -> list[tuple[str, str, str]]:
        tail = sorted((entry for entry in self.keys if entry[1] in self.LAST), key=lambda e: self.LAST.index(e[1]))
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
