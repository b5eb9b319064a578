"""What the app knows about the engine and the current run: a state machine without widgets, clocks or pipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc.client import Died
from llm_holes.engine.ipc.messages import (
    Alive,
    Cancel,
    Cancelled,
    Case,
    Failed,
    Finished,
    Framed,
    Hello,
    ModelInfo,
    Ready,
    Reply,
    Request,
    Run,
    Status,
    Unavailable,
)  # fmt: skip
from llm_holes.engine.work import Doing

Phase = Literal["starting", "downloading", "converting", "loading", "ready", "unavailable", "stopped"]
QUIET_SECONDS = 10
RunPhase = Literal["idle", "queued", "running", "done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class EngineState:
    phase: Phase = "starting"
    message: str = ""
    hint: str = ""
    done: int = 0
    total: int = 0
    model: ModelInfo | None = None

    @property
    def down(self) -> bool:
        return self.phase in {"stopped", "unavailable"}


@dataclass(frozen=True, slots=True)
class RunState:
    """The latest run. `started` is on the app's clock; `fresh` is true once it has shown a frame of its own; with a
    `case` of the game it is on the broken model."""

    phase: RunPhase = "idle"
    id: int = 0
    lesson: str = ""
    settings: dict[str, Value] | None = None
    case: Case | None = None
    started: float = 0.0
    ms: float = 0.0
    progress: float | None = None
    fresh: bool = False
    error: str = ""
    hint: str = ""
    usage: bool = False
    """Whether the request was wrong, rather than the engine."""
    gone: bool = False
    """Whether the engine ended; `hint` is then the last it said."""

    @property
    def active(self) -> bool:
        return self.phase in {"queued", "running"}


class Session:
    """Turns what the learner asks for into requests and the engine's replies into state.

    Args:
        send: puts a request on its way.
        restart: starts the engine again; replies then begin anew.
        clock: seconds, for how long a run has taken.
    """

    def __init__(
        self, send: Callable[[Request], None], restart: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self.engine = EngineState()
        self.run = RunState()
        self.frame: Frame | None = None
        self.framed = 0
        """The run that `frame` is of: the one before, as long as the latest has shown none."""
        self.doing: Doing | None = None
        """What the latest run does just now, as far as it has told."""
        self._send, self._restart, self._clock = send, restart, clock
        self._model: ModelInfo | None = None
        self._heard = clock()
        self.versions: dict[str, str] = {}
        """Of the program and the libraries in the engine."""

    @property
    def model(self) -> ModelInfo | None:
        """The model that is, or before the engine stopped was, loaded."""
        return self._model

    @property
    def waited_for(self) -> bool:
        """Whether the engine loads or runs."""
        return self.run.active or self.engine.phase not in {"ready", "stopped", "unavailable"}

    @property
    def silent(self) -> int:
        """For how many seconds there was no word of an engine that is waited for; 0 while that is nothing unusual."""
        seconds = int(self._clock() - self._heard) if self.waited_for else 0
        return seconds if seconds >= QUIET_SECONDS else 0

    def start(self, lesson: str, settings: dict[str, Value], case: Case | None = None) -> None:
        """Runs the lesson, in place of the run before it; waits in the queue until there is a model."""
        if self.run.lesson != lesson:
            self.frame = None
        if not self.run.active:
            self._heard = self._clock()
        self.run = RunState("queued", self.run.id + 1, lesson, settings, case, self._clock())
        if self.engine.down:
            self.engine = EngineState()
            self._restart()
        elif self.engine.phase == "ready":
            self._send_run()

    def again(self) -> None:
        """Starts an engine that is down once more, without a run; what became of the run before is forgotten."""
        if self.engine.down:
            self.run = RunState(id=self.run.id + 1)
            self.engine = EngineState()
            self._restart()

    def move(self) -> None:
        """Another engine is to be started in the place of this one; nothing of this one is kept."""
        self.leave()
        self.engine, self._model = EngineState(), None
        self._restart()

    def amend(self, settings: dict[str, Value]) -> None:
        """Gives a run that still waits other settings."""
        if self.run.phase == "queued":
            self.run = replace(self.run, settings=settings)

    def cancel(self) -> None:
        if self.run.phase == "running":
            self._send(Cancel(self.run.id))
        elif self.run.phase == "queued":
            self.run = replace(self.run, phase="cancelled")

    def leave(self) -> None:
        """The learner left the lesson: stop what runs and forget its results."""
        if self.run.phase == "running":
            self._send(Cancel(self.run.id))
        self.run = RunState(id=self.run.id + 1)
        self.frame = None

    def reply(self, reply: Reply | Died) -> None:
        self._heard = self._clock()
        match reply:
            case Alive(number, doing) if doing is not None and number == self.run.id:
                self.doing = doing
            case Alive():
                pass
            case Died():
                self._died(reply)
            case Status(phase, message, done, total):
                self.engine = EngineState(phase, message, "", done, total)
            case Ready(model):
                self._model = model
                self.engine = EngineState("ready", model=model)
                if self.run.phase == "queued":
                    self._send_run()
            case Unavailable(error, hint):
                self.engine = EngineState("unavailable", error, hint)
                if self.run.active:
                    self.run = replace(self.run, phase="failed", error=error, hint=hint)
            case Hello(_, versions):
                self.versions = versions
            case _ if reply.id == self.run.id:
                self._of_run(reply)

    def _of_run(self, reply: Framed | Finished | Cancelled | Failed) -> None:
        match reply:
            case Framed(_, frame):
                self.frame, self.framed = frame, self.run.id
                self.run = replace(self.run, progress=frame.progress, fresh=True)
            case Finished(_, settings, ms):
                self.run = replace(self.run, phase="done", settings=settings, ms=ms, progress=None)
            case Cancelled():
                self.run = replace(self.run, phase="cancelled", progress=None)
            case Failed(_, error, hint, usage):
                self.run = replace(self.run, phase="failed", error=error, hint=hint, usage=usage, progress=None)

    def _died(self, died: Died) -> None:
        self.engine = EngineState("stopped", died.reason)
        if self.run.active:
            tail = "" if died.reason.endswith(died.stderr_tail[-60:]) else died.stderr_tail
            self.run = replace(self.run, phase="failed", error=died.reason, hint=tail, gone=True)

    def _send_run(self) -> None:
        self.doing = None
        self.run = replace(self.run, phase="running", started=self._clock())
        self._send(Run(self.run.id, self.run.lesson, self.run.settings or {}, self.run.case))
