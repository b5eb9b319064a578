"""The half of the app that teaches: asks before a run, and puts what was said beside what was measured."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import structs
from textual import on
from textual.widget import Widget

from llm_holes.lessons.schema import Predict
from llm_holes.tui.engine_app import EngineApp
from llm_holes.tui.messages import Decided

if TYPE_CHECKING:
    from llm_holes.tui.learner import Learner

NARROW, WIDE = 100, 160
"""Columns from which there are two panes, and three."""


class TutorApp(EngineApp):
    """Every run goes through `_run`, which lets none begin before its question is answered or skipped."""

    _came_from: Widget | None = None
    """Where the focus was before the question."""

    @cached_property
    def learner(self) -> Learner:
        from llm_holes.tui.learner import Learner

        return Learner()

    def action_pane(self, pane: str) -> None:
        raise NotImplementedError

    @property
    def question(self) -> Predict | None:
        """What has to be answered or skipped before this lesson runs."""
        return self.learner.question(self.lesson) if self.lesson is not None else None

    def _visit(self) -> None:
        """Another lesson is being put up."""
        self.learner.visit()
        self._came_from = None
        self.panel.ask(None)
        self.panel.verdict.judged = None

    def _run(self, by_hand: bool = True) -> None:
        question = self.question
        if question is None:
            self.panel.verdict.past = self.panel.verdict.judged is not None
            super()._run(by_hand)
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
        frame, model = self.session.frame, self.session.model
        judged = self.learner.judge(
            self.lesson,
            dict(frame.measured) if frame is not None else {},
            self.session.run.settings or {},
            structs.asdict(model) if model is not None else {},
        )
        if judged is not None:
            self.panel.verdict.past = False
            self.panel.verdict.judged = judged
