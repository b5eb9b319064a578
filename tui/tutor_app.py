"""The half of the app that teaches: asks before a run, and puts what was said beside what was measured."""

from __future__ import annotations

import asyncio
from functools import cached_property, partial
from typing import TYPE_CHECKING

from msgspec import structs
from textual import on
from textual.timer import Timer
from textual.widget import Widget

from llm_holes.engine.frames import Value
from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.catalog.schema import Predict, Question
from llm_holes.tui.engine_app import EngineApp
from llm_holes.tui.messages import Changed, Decided, Scrolled
from llm_holes.tui.widgets.lesson_tree import LessonTree
from llm_holes.tui.widgets.pane import Pane

if TYPE_CHECKING:
    from llm_holes.lessons.learner.events import Event, Resume
    from llm_holes.lessons.learner.learner import Learner

NARROW, WIDE = 100, 160
"""Columns from which there are two panes, and three."""
PLACE_AFTER = 1.0
"""Seconds after which a change of controls or a scroll is written, with all that came in between."""


class TutorApp(EngineApp):
    """Every run goes through `_run`, which lets none begin before its question is answered or skipped."""

    catalog: Catalog
    holes: LessonTree
    first: str | None
    """The lesson to open at the start; None: where the learner left."""
    pane: str
    _came_from: Widget | None = None
    """Where the focus was before the question."""
    quitting = False
    """Whether the learner has quit: what is typed while everything is saved must not open anything any more."""
    _placing: Timer | None = None
    _placed: Resume | None = None

    @cached_property
    def learner(self) -> Learner:
        from llm_holes.lessons.learner.learner import Learner

        return Learner()

    def action_pane(self, pane: str) -> None:
        raise NotImplementedError

    async def _open(self, lesson_id: str, remember: bool) -> None:
        raise NotImplementedError

    # -- from one session to the next ---------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """After the first paint: what the learner did before, and the lesson to go on with."""
        if self.first is not None:
            await self._open(self.first, False)
        await asyncio.to_thread(self.learner.open)
        self._show_progress()
        self._tell()
        if self.lesson is None:
            await self._resume()

    async def _resume(self) -> None:
        from llm_holes.lessons.learner.learner import restored

        point = self.learner.resume
        lesson = self.catalog.lessons.get(point.lesson) if point is not None else None
        if point is None or lesson is None:
            await self._open(next(iter(self.catalog.lessons)), False)
            return
        self._settings[lesson.id] = restored(lesson, point.settings)
        await self._open(lesson.id, False)
        if point.pane in ("lesson", "live"):
            self.action_pane(point.pane)
        self.call_after_refresh(self._scroll_to, point.scroll)

    def _scroll_to(self, scroll: dict[str, int]) -> None:
        for pane in self._panes():
            pane.go_to(scroll.get(pane.id or "", 0))

    def _panes(self) -> list[Pane]:
        """What scrolls: the two panes, and the one around them where they are one page."""
        return [pane for pane in (*self.page.ancestors_with_self, self.panel) if isinstance(pane, Pane)]

    def _point(self) -> Resume | None:
        from llm_holes.lessons.learner.events import Resume

        if self.lesson is None:
            return None
        scroll = {pane.id: pane.line for pane in self._panes() if pane.id and pane.line}
        settings = self._settings.get(self.lesson.id, {})
        return Resume(lesson=self.lesson.id, settings=dict(settings), pane=self.pane, scroll=scroll)

    def save_now(self) -> None:
        """Writes everything, to the disk before it returns. A thread calls it when a signal ends the app."""
        self.learner.save(self._point())

    def save_soon(self) -> None:
        """Shows what has become of the progress, and writes it without holding up the keys."""
        self._show_progress()
        self.run_worker(partial(self._save, self._point()), group="save", thread=True, exit_on_error=False)

    @on(Changed)
    @on(Scrolled)
    def place_soon(self) -> None:
        """Writes where the learner is, in a while: the controls and the scrolling should also outlive a kill."""
        if self._placing is None:
            self._placing = self.set_timer(PLACE_AFTER, self._place)

    def _place(self) -> None:
        self._placing = None
        point = self._point()
        if point != self._placed:
            self._placed = point
            self.run_worker(partial(self._save, point), group="save", thread=True, exit_on_error=False)

    def _save(self, point: Resume | None) -> None:
        self.learner.save(point)
        self.call_later(self._tell)

    def _tell(self) -> None:
        if notice := self.learner.take_notice():
            self.notify(notice, title="progress", timeout=20, markup=False)

    def _show_progress(self) -> None:
        self.holes.statuses = statuses = self.learner.statuses(self.catalog)
        found = list(statuses.values())
        self.status.progress = (found.count("run") + found.count("passed"), found.count("passed"))
        self.status.due = len(self.learner.due(self.catalog))

    async def action_quit(self) -> None:
        self.quitting = True
        await asyncio.to_thread(self.save_now)
        self.exit()

    # -- recall -------------------------------------------------------------------------------------------------------

    def action_quiz(self) -> None:
        if self.lesson is not None:
            self._ask("quiz", [(self.lesson, question) for question in self.lesson.data.quiz])

    def action_review(self) -> None:
        from llm_holes.tui.screens.review import ReviewScreen

        screen = ReviewScreen(self.catalog, self.learner.events, self.learner.now())

        def ask(wanted: bool | None) -> None:
            if wanted:
                self._ask("review", self.learner.due(self.catalog))

        self.push_screen(screen, ask)

    def _ask(self, title: str, cards: list[tuple[Lesson, Question]]) -> None:
        from llm_holes.tui.screens.quiz import QuizScreen

        self.push_screen(QuizScreen(title, cards, self._measured, self._facts(), self._keep))

    def _keep(self, event: Event) -> None:
        self.learner.record(event)
        self.save_soon()

    def _measured(self, lesson: Lesson) -> dict[str, Value] | None:
        """What the last run of the lesson measured; None if it was not run, or on a broken model."""
        run, frame = self.session.run, self.session.frame
        known = run.lesson == lesson.id and run.phase == "done" and run.case is None
        return dict(frame.measured) if known and frame is not None else None

    def _facts(self) -> dict[str, object]:
        return structs.asdict(self.session.model) if self.session.model is not None else {}

    # -- predict, run, see --------------------------------------------------------------------------------------------

    @property
    def question(self) -> Predict | None:
        """What has to be answered or skipped before this lesson runs."""
        asked = self.lesson is not None and self.case is None
        return self.learner.question(self.lesson) if asked and self.lesson is not None else None

    def _visit(self) -> None:
        """Another lesson is being put up."""
        assert self.lesson is not None
        self.learner.visit(self.lesson)
        self.save_soon()
        self._came_from = None
        self.panel.wanted = False
        self.panel.ask(None)
        self.panel.verdict.judged = None
        for pane in self._panes():
            pane.go_to(0)

    def _run(self, by_hand: bool = True) -> None:
        question = self.question
        if question is None:
            self.panel.verdict.past = self.panel.verdict.judged is not None
            super()._run(by_hand)
            self.place_soon()
            return
        self.panel.ask(question)
        # a change that would run by itself leaves the focus where the learner is typing
        if by_hand and self.focused is not self.panel.form:
            self._came_from = self.focused
            self.action_pane("live")

    @on(Decided)
    def _decided(self, event: Decided) -> None:
        if self.lesson is None or self.question is None:
            return
        if event.answer is None:
            self.learner.skip(self.lesson)
        else:
            self.learner.predict(self.lesson, event.answer, event.sure, self._settings[self.lesson.id])
        self.save_soon()
        back, self._came_from = self._came_from, None
        self.panel.ask(None)
        if back is None or not back.is_attached or self.size.width < NARROW:
            self.action_pane("live")
        else:
            back.focus(scroll_visible=False)
        self._run()
        self.panel.wanted = self.size.width < WIDE

    def _run_done(self) -> None:
        if self.lesson is None:
            return
        measured = self._measured(self.lesson) or {}
        judged = self.learner.judge(self.lesson, measured, self.session.run.settings or {}, self._facts())
        self.save_soon()
        if judged is not None:
            self.panel.verdict.past = False
            self.panel.verdict.judged = judged
