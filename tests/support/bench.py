"""The front end's services put together as the screen does it, on an engine that is a list of requests: no app, no
process, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from llm_holes.engine.frames import Frame
from llm_holes.engine.ipc.messages import Finished, Framed, Ready, Request, Run
from llm_holes.engine.ipc.session import Session
from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.learner.learner import Learner
from llm_holes.tui.services.game import Game
from llm_holes.tui.services.lab import Lab
from llm_holes.tui.services.runs import Ended, Runs
from llm_holes.tui.services.settings import Settings
from llm_holes.tui.services.steps import Steps
from tests.support.fake_engine import MODEL


@dataclass
class Bench:
    catalog: Catalog
    learner: Learner
    requests: list[Request] = field(default_factory=list)
    restarts: int = 0

    def __post_init__(self) -> None:
        self.session = Session(self.requests.append, self._restart, lambda: 0.0)
        self.settings, self.game = Settings(), Game(lambda: self.learner)
        self.lab = Lab(self.session)
        self.steps = Steps(self.settings, self.game, lambda: self.learner)
        self.runs = Runs(self.session, self.settings, self.steps, self.game, lambda: self.learner)
        self.session.reply(Ready(MODEL))

    def _restart(self) -> None:
        self.restarts += 1

    @property
    def made(self) -> list[Run]:
        return [request for request in self.requests if isinstance(request, Run)]

    def finish(self, lesson: Lesson | None, frame: Frame) -> Ended | None:
        """The engine answers the last run with one frame."""
        number = self.made[-1].id
        self.runs.received(Framed(number, frame), lesson)
        return self.runs.received(Finished(number, self.made[-1].settings, 12.0), lesson)
