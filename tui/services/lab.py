"""Runs that are held on to: one pinned as A to compare others with, others kept in the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_holes.engine.frames import Text, View
from llm_holes.engine.ipc.session import Session

if TYPE_CHECKING:
    from llm_holes.lessons.catalog.catalog import Lesson
    from llm_holes.tui.state.compare import Pinned

PINNED = Text("A is pinned", "Change something and run: A and B will be here side by side. The same key unpins A.")


class Lab:
    """One run is pinned at a time; it is compared with the finished runs of its own lesson."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.pinned: Pinned | None = None

    def finished(self, lesson: Lesson | None) -> Pinned | None:
        """The lesson's run on the screen, once it is done: before that there is nothing to hold on to."""
        from llm_holes.tui.state.compare import Pinned

        run, frame = self._session.run, self._session.frame
        if lesson is None or run.phase != "done" or frame is None or run.lesson != lesson.id:
            return None
        return Pinned(run.id, run.lesson, run.settings or {}, frame, "intact" if run.case is None else "broken")

    def pin(self, lesson: Lesson) -> None:
        """Unpins the lesson's A if there is one; else pins its run on the screen, in place of another lesson's."""
        here = self.pinned is not None and self.pinned.lesson == lesson.id
        self.pinned = None if here else self.finished(lesson) or self.pinned

    def comparison(self, lesson: Lesson) -> tuple[View, ...]:
        """A and the run on the screen, as views; none where the lesson has no A, or something else is shown."""
        pinned, here = self.pinned, self.finished(lesson)
        if pinned is None or pinned.lesson != lesson.id or self._session.run.lesson not in ("", lesson.id):
            return ()
        if here is None or here.run == pinned.run:
            return (PINNED,)
        from llm_holes.tui.state.compare import compared

        return compared(pinned, here)

    def keep(self, lesson: Lesson) -> str:
        """Adds the run on the screen to the notebook; what the learner is to be told. Blocks on the disk."""
        from llm_holes.tui.state.kept_runs import MadeRun, keep, notebook_path

        session, run = self._session, self.finished(lesson)
        if run is None:
            return "There is no finished run to keep."
        made = MadeRun(session.versions, session.model, (run.frame,), dict(run.settings), session.run.ms)
        notice = keep(lesson, made)
        return notice or f"This run is in {notebook_path()}. llm-holes notebook --markdown writes it out."
