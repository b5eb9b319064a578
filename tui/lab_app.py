"""The half of the app that holds on to runs: pins one as A to compare others with, and adds runs to the notebook."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llm_holes.engine.frames import Text, View
from llm_holes.tui.tutor_app import TutorApp

if TYPE_CHECKING:
    from llm_holes.tui.state.compare import Pinned

PINNED = Text(
    "A is pinned", "Change something and run: A and B will stand here side by side. The same key lets go of A."
)


class LabApp(TutorApp):
    """One run is pinned at a time; it is compared with the finished runs of its own lesson."""

    pinned: Pinned | None = None

    # -- A|B ----------------------------------------------------------------------------------------------------------

    def action_pin(self) -> None:
        """Lets go of this lesson's A if there is one; else pins the run on the screen, in place of another lesson's."""
        self.pinned = None if self.pinned_here is not None else self.finished or self.pinned
        self._show_session()

    @property
    def pinned_here(self) -> Pinned | None:
        """A, if it is of the lesson on the page."""
        pinned = self.pinned
        return pinned if pinned is not None and self.lesson is not None and pinned.lesson == self.lesson.id else None

    @property
    def finished(self) -> Pinned | None:
        """The run on the screen, once it is done: before that there is nothing to hold on to."""
        from llm_holes.tui.state.compare import Pinned

        run, frame = self.session.run, self.session.frame
        if run.phase != "done" or frame is None or self.lesson is None or run.lesson != self.lesson.id:
            return None
        return Pinned(run.id, run.lesson, run.settings or {}, frame, "intact" if run.case is None else "broken")

    def _show_session(self) -> None:
        super()._show_session()
        if not self.session.run.active:
            self._show_comparison()

    def _show_comparison(self) -> None:
        pinned = self.pinned_here
        views = self._against(pinned, self.finished) if pinned is not None else ()
        if views != self.panel.comparison:
            self.panel.comparison = views

    def _against(self, pinned: Pinned, here: Pinned | None) -> tuple[View, ...]:
        from llm_holes.tui.state.compare import compared

        if here is None or here.run == pinned.run:
            return (PINNED,)
        return compared(pinned, here)

    # -- the notebook -------------------------------------------------------------------------------------------------

    def action_keep(self) -> None:
        """Adds the run on the screen to the notebook, without holding up the keys."""
        if self.finished is not None and self.session.run.case is None:
            self.run_worker(self._keep_run(self.finished), group="notebook")

    async def _keep_run(self, run: Pinned) -> None:
        from llm_holes.lessons.notebook.notebook import FILE
        from llm_holes.lessons.state_file import state_folder
        from llm_holes.tui.cli.notebook import add
        from llm_holes.tui.cli.run import Result

        session = self.session
        result = Result(session.versions, session.model, [run.frame], dict(run.settings), session.run.ms)
        notice = await asyncio.to_thread(add, self.catalog[run.lesson], result)
        said = notice or f"This run is in {state_folder() / FILE}. llm-holes notebook --markdown writes it out."
        self.notify(said, title="notebook", timeout=8, markup=False)
