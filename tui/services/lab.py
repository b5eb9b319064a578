"""Runs that are held on to: one pinned as A to compare others with, others kept in the notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_holes.engine.frames import View
from llm_holes.engine.ipc.session import Session

if TYPE_CHECKING:
    from llm_holes.lessons.catalog.catalog import Lesson
    from llm_holes.tui.state.compare import Pinned


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

    def a(self, lesson: Lesson) -> Pinned | None:
        """The pinned run, where it is this lesson's and nothing else is shown, as the truth of the game is."""
        here = self.pinned is not None and self.pinned.lesson == lesson.id
        return self.pinned if here and self._session.run.lesson in ("", lesson.id) else None

    def b(self, lesson: Lesson) -> Pinned | None:
        """The run on the screen, once it is done, if it is another than A."""
        a, here = self.a(lesson), self.finished(lesson)
        return here if a is not None and here is not None and here.run != a.run else None

    def alone(self, lesson: Lesson) -> bool:
        """Whether there is an A, and no other run of the lesson has shown anything yet."""
        a = self.a(lesson)
        return a is not None and (self._session.frame is None or self._session.framed == a.run)

    def pair(
        self, lesson: Lesson, views: frozenset[str] = frozenset(), measurements: frozenset[str] = frozenset()
    ) -> tuple[Pinned, Pinned] | None:
        """A and B without these `views` and `measurements`, which are closed; None as long as there are not both."""
        a, b = self.a(lesson), self.b(lesson)
        if a is None or b is None:
            return None
        from llm_holes.tui.state.compare import without

        return without(a, views, measurements), without(b, views, measurements)

    def comparison(
        self, lesson: Lesson, views: frozenset[str] = frozenset(), measurements: frozenset[str] = frozenset()
    ) -> tuple[View, ...]:
        """All in which the pair differs, as views."""
        from llm_holes.tui.state.compare import compared

        pair = self.pair(lesson, views, measurements)
        return compared(*pair) if pair is not None else ()

    def keep(self, lesson: Lesson) -> str:
        """Adds the run on the screen to the notebook; what the learner is to be told. Blocks on the disk."""
        from llm_holes.tui.state.kept_runs import MadeRun, keep, notebook_path

        session, run = self._session, self.finished(lesson)
        if run is None:
            return "There is no finished run to keep."
        made = MadeRun(session.versions, session.model, (run.frame,), dict(run.settings), session.run.ms)
        notice = keep(lesson, made)
        return notice or f"This run is in {notebook_path()}. llm-holes notebook --markdown writes it out."
