from __future__ import annotations

from typing import TYPE_CHECKING

from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.lessons.game.rules import DIFFICULTIES
from llm_holes.tui.content import content
from llm_holes.tui.draw.spans import Row, Span, fitted

if TYPE_CHECKING:
    from llm_holes.lessons.game.cases import OpenCase


class CaseLine(Widget):
    """While a case of Find the hole is open: which, how many probes, and what the next run goes to."""

    open_case: reactive[OpenCase | None] = reactive(None, layout=True)
    intact: reactive[bool] = reactive(False)

    def on_mount(self) -> None:
        self.display = False

    def watch_open_case(self, open_case: OpenCase | None) -> None:
        self.display = open_case is not None

    def render(self) -> VisualType:
        return content(fitted(case_row(self.open_case, self.intact), self.content_size.width)) if self.open_case else ""


def case_row(open_case: OpenCase, intact: bool) -> Row:
    level, probes = DIFFICULTIES[open_case.case.difficulty], len(open_case.probes)
    return [
        Span("◇ ", "measured"),
        Span("runs go to the intact model" if intact else "the model is broken", "strong"),
        Span(f"  case {open_case.case.seed} {level.name} · probes {probes}, par {level.par}   ", "dim"),
        Span("o", "act-strong"),
        Span(" broken  " if intact else " intact  ", "dim"),
        Span("f", "act-strong"),
        Span(" name it", "dim"),
    ]
