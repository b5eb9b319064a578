"""An engine in the same process that replays recorded replies: the app's link in tests and in the demo."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc.messages import Cancel, Cancelled, Failed, Finished, Framed, Hello, Ready, Reply, Request, Run
from llm_holes.tui.link import Died, OnReply
from tests.support.fake_engine import MODEL


@dataclass
class FakeEngine:
    """Same interface as the client. `frames` maps a lesson's id to the frames of its run, or to what was recorded.

    With `manual` nothing is answered by itself: tests call `ready`, `frame`, `finish`, `fail` and `die`. With `pace`
    there are that many seconds between frames.
    """

    frames: Mapping[str, Sequence[Frame] | Recording] = field(repr=False)
    manual: bool = False
    pace: float = 0.0
    requests: list[Request] = field(default_factory=list)
    starts: int = 0
    closed: bool = False
    used: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._on_reply: OnReply = lambda reply: None
        self._task: asyncio.Task[None] | None = None

    def link(self, on_reply: OnReply) -> FakeEngine:
        """What the app takes as its `link`."""
        self._on_reply = on_reply
        return self

    async def start(self) -> None:
        self.starts += 1
        self.say(Hello(1, {"llm-holes": "0.1.0"}))
        if not self.manual:
            self.ready()

    async def restart(self) -> None:
        await self.start()

    def use(self, command: Sequence[str]) -> None:
        self.used = tuple(command)

    async def close(self) -> None:
        self.closed = True
        if self._task is not None:
            self._task.cancel()

    def send(self, request: Request) -> None:
        self.requests.append(request)
        if self.manual:
            return
        if self._task is not None:
            self._task.cancel()
        if isinstance(request, Cancel):
            self.say(Cancelled(request.id))
        else:
            self._task = asyncio.get_running_loop().create_task(self._replay(request))

    async def _replay(self, run: Run) -> None:
        try:
            shown = self.frames.get(run.lesson, ())
            for frame in shown.of(run.settings) if isinstance(shown, Recording) else shown:
                await asyncio.sleep(self.pace)
                self.say(Framed(run.id, frame))
            self.say(Finished(run.id, run.settings, 12.0))
        except asyncio.CancelledError:
            self.say(Cancelled(run.id))
            raise

    def say(self, reply: Reply | Died) -> None:
        self._on_reply(reply)

    def ready(self) -> None:
        self.say(Ready(MODEL))

    @property
    def runs(self) -> list[Run]:
        return [request for request in self.requests if isinstance(request, Run)]

    def frame(self, frame: Frame) -> None:
        self.say(Framed(self.runs[-1].id, frame))

    def finish(self) -> None:
        self.say(Finished(self.runs[-1].id, self.runs[-1].settings, 12.0))

    def fail(self, error: str, hint: str) -> None:
        self.say(Failed(self.runs[-1].id, error, hint))

    def die(self) -> None:
        self.say(Died(-9, "", "The engine was ended by signal 9 (SIGKILL). The system may have run out of memory."))


@dataclass
class Recording:
    """The runs that were recorded of a lesson: what each was made with, and its frames. The first is the default's."""

    runs: list[tuple[dict[str, Value], list[Frame]]]

    def of(self, settings: Mapping[str, Value]) -> list[Frame]:
        """The frames of the run with these settings, or else with those that differ least."""
        return max(self.runs, key=lambda run: sum(run[0].get(name) == value for name, value in settings.items()))[1]


def recording(path: str | Path) -> Recording:
    """What is in a file of `scripts/record_frames.py`: a MessagePack list of runs, each a list of replies."""
    with open(path, "rb") as file:
        runs = msgspec.msgpack.decode(file.read(), type=list[list[Reply]])
    return Recording(
        [
            (next(dict(reply.settings) for reply in replies if isinstance(reply, Finished)), _frames(replies))
            for replies in runs
        ]
    )


def recorded(path: str | Path) -> list[Frame]:
    """The frames of a lesson's default run."""
    return recording(path).runs[0][1]


def _frames(replies: Sequence[Reply]) -> list[Frame]:
    return [reply.frame for reply in replies if isinstance(reply, Framed)]
