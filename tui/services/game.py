"""Find the hole while it is played: which case is open, and which of the two models the next run goes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import structs

from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc.messages import Case
from llm_holes.engine.ipc.session import RunState
from llm_holes.engine.numbers import plural
from llm_holes.lessons.game.rules import DIFFICULTIES, FIND_THE_HOLE, compares

if TYPE_CHECKING:
    from llm_holes.lessons.game.cases import OpenCase
    from llm_holes.lessons.learner.learner import Learner


class Game:
    """Runs on the intact model are runs like any other; those on the broken one are neither predicted nor graded.

    Args:
        learner: whose record the cases are in; asked for when it is needed, since loading it takes a while.
    """

    def __init__(self, learner: Callable[[], Learner]) -> None:
        self._learner = learner
        self.open_case: OpenCase | None = None
        self.intact = False
        """Whether runs go to the intact model although a case is open."""
        self._counted = 0
        """The latest run that was counted as a probe."""

    @property
    def case(self) -> Case | None:
        """What the next run is made in."""
        return None if self.open_case is None or self.intact else self.open_case.case

    def recall(self) -> None:
        """Takes up the case that the learner's record says is open."""
        from llm_holes.lessons.game.cases import open_case

        self.open_case = open_case(self._learner().events)

    def begin(self, case: Case) -> None:
        from llm_holes.lessons.learner.events import Began

        self.intact = False
        self._learner().record(Began(lesson=FIND_THE_HOLE, seed=case.seed, difficulty=case.difficulty))
        self.recall()

    def move(self, chosen: Mapping[str, Value]) -> dict[str, Value]:
        """The settings of the run that compares a layer, or shows what was broken and what the guess is worth."""
        assert self.open_case is not None
        return {**structs.asdict(self.open_case.case), **chosen, "probes": len(self.open_case.probes)}

    def after(self, run: RunState, frame: Frame | None) -> bool:
        """Records what a run that ended means for the case: a probe, or the end. Whether it was the end."""
        if frame is None:
            return False
        compared = run.lesson == FIND_THE_HOLE and compares(run.settings or {})
        if run.lesson == FIND_THE_HOLE and not compared:
            return self._end(run, frame)
        if (compared or run.case is not None) and run.fresh and run.id != self._counted:
            from llm_holes.lessons.learner.events import Probed

            self._counted = run.id
            self._learner().record(Probed(lesson=FIND_THE_HOLE, probe=run.lesson, saw=frame.caption))
            self.recall()
        return False

    def _end(self, run: RunState, frame: Frame) -> bool:
        from llm_holes.lessons.learner.events import Named

        if run.phase != "done" or run.settings is None:
            return False
        said = ", ".join(f"{name} {value}" for name, value in run.settings.items() if name.startswith("guess"))
        truth = ", ".join(f"{name} {value}" for name, value in frame.measured.items() if name.startswith("truth"))
        score, probes = (int(str(frame.measured[name])) for name in ("score", "probes"))
        self._learner().record(Named(lesson=FIND_THE_HOLE, said=said, truth=truth, score=score, probes=probes))
        self.recall()
        return True


def score_line(settings: Mapping[str, Value], measured: Mapping[str, Value]) -> str:
    """How a case went, in one line to pass on, which does not give the case away."""
    level, probes = DIFFICULTIES[int(str(settings["difficulty"]))], int(str(measured["probes"]))
    return (
        f"llm-holes · find the hole · case {settings['seed']} {level.name} · {measured['score']} of 100 · "
        f"{plural(probes, 'probe')}, par {level.par}"
    )
