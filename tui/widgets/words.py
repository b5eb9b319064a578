from __future__ import annotations

from collections.abc import Mapping

from textual.events import Click
from textual.geometry import Size
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.words import told
from llm_holes.tui.content import lines
from llm_holes.tui.draw.spans import Row, Span
from llm_holes.tui.draw.words import link_at, word_rows
from llm_holes.tui.faults import Steady
from llm_holes.tui.messages import OpenLesson

TRY = "▸ try  "


class WordsPane(Steady, Widget):
    """What the current step says: before its run, and what may be said once it has measured something."""

    lesson: reactive[Lesson | None] = reactive(None, layout=True)
    step: reactive[int] = reactive(0, layout=True)
    measured: reactive[Mapping[str, Value] | None] = reactive(None, layout=True)
    """The results of the step's run; None before it."""
    settings: reactive[Mapping[str, Value]] = reactive[Mapping[str, Value]](dict, layout=True)
    """Those of the run."""
    model: reactive[ModelInfo | None] = reactive(None, layout=True)
    beside: reactive[bool] = reactive(False, layout=True)
    """Whether it stands beside the picture and has room for everything at once."""
    brief: reactive[bool] = reactive(False, layout=True)
    """Whether there is room for the heading only."""

    def __init__(self) -> None:
        super().__init__(id="words")

    def rows(self, width: int) -> list[Row]:
        lesson = self.lesson
        if lesson is None or self.step >= len(lesson.words):
            return []
        words, step = lesson.words[self.step], lesson.steps[self.step]
        facts = self.model.facts if self.model is not None else {}
        values = {"measured": self.measured or {}, "model": facts, "settings": self.settings}
        # where nothing was measured, or nothing of what is said, what was said before it still holds
        before, after = told(words.before, values), told(words.after, values) if self.measured else ""
        heading = [Span(words.heading, "strong")]
        if self.brief:
            return [heading]
        if self.beside:
            parts = [word_rows(text, values, width) for text in (before, after) if text]
            rows: list[Row] = [heading, []]
            for part in parts:
                rows += [*part, []]
        else:
            stop = "" if words.heading.endswith(("?", "!")) else "."
            rows = word_rows(after or before, values, width, [Span(words.heading + stop, "strong"), Span(" ")])
        if step.try_ and self.measured:
            first, *rest = word_rows(step.try_, values, max(width - len(TRY), 10))
            rows.append([Span(TRY, "act"), *first])
            rows += [[Span(" " * len(TRY)), *row] for row in rest]
        return rows

    def render(self) -> VisualType:
        return lines(self.rows(max(self.content_size.width, 1)))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        # for the width to come: the one in `content_size` is from before the terminal changed
        return max(len(self.rows(max(width, 1))), 1)

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        rows = self.rows(max(self.content_size.width, 1))
        if offset is not None and offset.y < len(rows) and (lesson := link_at(rows[offset.y], offset.x)):
            self.post_message(OpenLesson(lesson))
