"""The half of the app that plays Find the hole: while a case is open, runs are probes of a model that is broken."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec import structs
from textual import on

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.messages import Case
from llm_holes.lessons.game.rules import FIND_THE_HOLE
from llm_holes.tui.lab_app import LabApp
from llm_holes.tui.messages import Play
from llm_holes.tui.widgets.case_line import CaseLine

if TYPE_CHECKING:
    from llm_holes.lessons.game.cases import OpenCase
    from llm_holes.tui.state.compare import Pinned

SEEDS = 10_000


class GameApp(LabApp):
    """Runs on the intact model are runs like any other; those on the broken one are neither predicted nor graded."""

    case_line: CaseLine
    open_case: OpenCase | None = None
    intact = False
    """Whether runs go to the intact model although a case is open."""
    _counted = 0
    """The latest run that was counted as a probe."""

    @property
    def case(self) -> Case | None:
        return None if self.open_case is None or self.intact else self.open_case.case

    @on(Play)
    def action_game(self) -> None:
        """Opens a case; names the damage where one is open."""
        from llm_holes.lessons.game.cases import best_scores
        from llm_holes.tui.screens.game import BeginScreen, NameScreen

        if self.open_case is None:
            best = best_scores(self.learner.events)
            self.push_screen(BeginScreen(random.randrange(1, SEEDS), best), self._begun)
        else:
            titles = {lesson.id: lesson.title for lesson in self.catalog.lessons.values()}
            self.push_screen(NameScreen(self.open_case, titles, self.session.model), self._said)

    def action_intact(self) -> None:
        """The next runs go to the other model: the intact one, or the broken one."""
        self.intact = not self.intact
        self._show_progress()
        self.refresh_bindings()

    def _begun(self, chosen: dict[str, Value] | None) -> None:
        from llm_holes.lessons.learner.events import Began

        if chosen is not None:
            case = Case(int(str(chosen["seed"])), int(str(chosen["difficulty"])))
            self.intact = False
            self._keep(Began(lesson=FIND_THE_HOLE, seed=case.seed, difficulty=case.difficulty))
            self.refresh_bindings()

    def _said(self, guess: dict[str, Value] | None) -> None:
        if guess is not None and self.open_case is not None:
            self.run_worker(self._reveal(self.open_case, guess), group="reveal", exclusive=True)

    async def _reveal(self, asked: OpenCase, guess: dict[str, Value]) -> None:
        """Asks the engine for the truth; it is shown where the results of runs are."""
        if self.lesson is None:
            await self._open(next(iter(self.catalog.lessons)), True)
        self.session.start(FIND_THE_HOLE, {**structs.asdict(asked.case), **guess, "probes": len(asked.probes)})
        self._show_session()
        self.action_pane("live")
        self.panel.wanted = True

    def _run_soon(self) -> None:
        """Each run is a probe, so none begins by itself."""
        if self.case is None:
            super()._run_soon()

    async def _fill(self) -> None:
        """What a broken model measured is not put into the lesson's text."""
        if self.session.run.case is None and self.session.run.lesson != FIND_THE_HOLE:
            await super()._fill()

    @property
    def pinned_here(self) -> Pinned | None:
        return super().pinned_here if self.session.run.lesson != FIND_THE_HOLE else None

    def _show_session(self) -> None:
        super()._show_session()
        run, frame = self.session.run, self.session.frame
        if run.case is not None and run.fresh and not run.active and run.id != self._counted and frame is not None:
            from llm_holes.lessons.learner.events import Probed

            self._counted = run.id
            self._keep(Probed(lesson=FIND_THE_HOLE, probe=run.lesson, saw=frame.caption))

    def _run_done(self) -> None:
        run = self.session.run
        if run.lesson == FIND_THE_HOLE:
            self._ended()
        elif run.case is None:
            super()._run_done()

    def _ended(self) -> None:
        from llm_holes.lessons.learner.events import Named

        run, frame = self.session.run, self.session.frame
        if frame is None or run.settings is None:
            return
        said = ", ".join(f"{name} {value}" for name, value in run.settings.items() if name.startswith("guess"))
        truth = ", ".join(f"{name} {value}" for name, value in frame.measured.items() if name.startswith("truth"))
        score, probes = (int(str(frame.measured[name])) for name in ("score", "probes"))
        self._keep(Named(lesson=FIND_THE_HOLE, said=said, truth=truth, score=score, probes=probes))
        self.notify("The model is whole again. f opens another case.", title="find the hole", timeout=4, markup=False)
        self.refresh_bindings()

    def _show_progress(self) -> None:
        from llm_holes.lessons.game.cases import open_case

        super()._show_progress()
        self.open_case = open_case(self.learner.events)
        self.case_line.intact, self.case_line.open_case = self.intact, self.open_case
