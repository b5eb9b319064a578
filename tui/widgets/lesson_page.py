from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget
from textual.widgets import Markdown

from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.catalog.checks import PLACEHOLDER
from llm_holes.tui.content import lines
from llm_holes.tui.draw.lesson_text import breadcrumb, filled, pipeline, ways
from llm_holes.tui.draw.spans import Row, Span, fit, wrapped
from llm_holes.tui.messages import OpenLesson
from llm_holes.tui.widgets.lesson_tree import UNSEEN
from llm_holes.tui.widgets.pane import Pane

SCHEME = "hole:"


class LessonHead(Widget):
    """Where the lesson is in the tree and in the machine, and what it is for."""

    lesson: reactive[Lesson | None] = reactive(None, layout=True)

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.catalog = catalog

    def render(self) -> VisualType:
        lesson = self.lesson
        if lesson is None:
            return ""
        width = self.content_size.width or 60
        rows: list[Row] = [[Span(line, "strong")] for line in wrapped(lesson.title, width)]
        if above := breadcrumb(self.catalog, lesson, width):
            rows.insert(0, [Span(above, "dim")])
        rows.append([Span(f"tier {lesson.tier} · {lesson.data.minutes} minutes", "dim")])
        return lines([*rows, [], pipeline(lesson.data.stages, width)])


class Ways(Widget):
    """Up, deeper and across, at the end of the page."""

    lesson: reactive[Lesson | None] = reactive(None, layout=True)

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.catalog = catalog

    def render(self) -> VisualType:
        if self.lesson is None:
            return ""
        rows: list[Row] = []
        last = ""
        for kind, other in ways(self.catalog, self.lesson):
            if kind == "in the text":
                continue
            head = f"{kind:<8}" if kind != last else " " * 8
            last = kind
            title = fit(other.title, max(self.content_size.width - 10, 8)).rstrip()
            rows.append([Span(head, "dim"), Span(f"{UNSEEN} ", "act"), Span(title)])
        if rows:
            rows.append([Span(" " * 8), Span("g", "act-strong"), Span(" goes there", "dim")])
        return lines(rows)


class LessonPage(Pane, can_focus=True):
    """One lesson to read; a single Markdown widget whose text is replaced."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(id="lesson")
        self.border_title = " 2 lesson "
        self.catalog = catalog
        self.lesson: Lesson | None = None
        self._text = ""

    def compose(self) -> ComposeResult:
        yield LessonHead(self.catalog)
        yield Markdown(open_links=False)
        yield Ways(self.catalog)

    def describe(self) -> str:
        if self.lesson is None:
            return ""
        return "lesson · ↓ j and ↑ k scroll; r asks what you expect, then runs the experiment"

    async def show(self, lesson: Lesson, model: ModelInfo | None) -> None:
        self.lesson = lesson
        self.query_one(LessonHead).lesson = lesson
        self.query_one(Ways).lesson = lesson
        self.scroll_home(animate=False)
        await self._write(lesson.body, {}, model)

    async def fill(self, measured: Mapping[str, object], model: ModelInfo | None) -> None:
        """Puts the run's results into the text, if it quotes any: laying out Markdown costs up to half a second."""
        if self.lesson is not None and PLACEHOLDER.search(self.lesson.body):
            await self._write(self.lesson.body, measured, model)

    async def _write(self, body: str, measured: Mapping[str, object], model: ModelInfo | None) -> None:
        facts = {name: getattr(model, name) for name in model.__struct_fields__} if model is not None else {}
        text = filled(body, measured, facts)
        if text != self._text:
            self._text = text
            await self.query_one(Markdown).update(text)

    def on_markdown_link_clicked(self, event: Markdown.LinkClicked) -> None:
        event.stop()
        if event.href.startswith(SCHEME):
            self.post_message(OpenLesson(event.href.removeprefix(SCHEME)))
