"""One run of one lesson without the app: starts an engine, asks, collects the answer, ends the engine."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc.client import Client, Died
from llm_holes.engine.ipc.messages import Alive, Framed, Reply
from llm_holes.engine.ipc.session import Session
from llm_holes.engine.numbers import percent
from llm_holes.tui.cli.gates import steer
from llm_holes.tui.draw.doing import doing_text
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.state.kept_runs import MadeRun

SPARSE_SECONDS = 10.0

OnProgress = Callable[[str, float | None], None]
"""Is told what is being waited for, and the share that is done."""


class Unsuccessful(Exception):
    """The run has no result. `usage` is true when the request was wrong."""

    def __init__(self, message: str, hint: str = "", usage: bool = False) -> None:
        super().__init__("\n".join(filter(None, (message, hint))))
        self.usage = usage


def run(command: Sequence[str], lesson: str, settings: Mapping[str, Value], progress: OnProgress) -> MadeRun:
    """The finished run. Raises Unsuccessful; whatever happens, no engine is left."""
    outcomes: list[MadeRun | Unsuccessful] = []
    run_each(command, [(lesson, settings)], progress, outcomes.append)
    if isinstance(outcomes[0], Unsuccessful):
        raise outcomes[0]
    return outcomes[0]


def run_each(
    command: Sequence[str],
    runs: Sequence[tuple[str, Mapping[str, Value]]],
    progress: OnProgress,
    done: Callable[[MadeRun | Unsuccessful], None],
) -> None:
    """Makes the runs, lesson and settings, one after the other on one engine; `done` is given the outcome of each.

    An engine that dies of a run is started again for the next. Raises Unsuccessful if there is none to run on.
    """
    asyncio.run(_run_each(command, runs, progress, done))


async def _run_each(
    command: Sequence[str],
    runs: Sequence[tuple[str, Mapping[str, Value]]],
    progress: OnProgress,
    done: Callable[[MadeRun | Unsuccessful], None],
) -> None:
    replies: asyncio.Queue[Reply | Died] = asyncio.Queue()
    client = Client(command, replies.put_nowait)
    restarts: list[asyncio.Task[None]] = []
    session = Session(client.send, lambda: restarts.append(asyncio.create_task(client.restart())), time.monotonic)
    try:
        await client.start()
        for lesson, settings in runs:
            session.start(lesson, dict(settings))
            done(await _outcome(session, replies, progress))
    finally:
        await client.close()


async def _outcome(
    session: Session, replies: asyncio.Queue[Reply | Died], progress: OnProgress
) -> MadeRun | Unsuccessful:
    """What comes of the run that was just asked for. Raises Unsuccessful if the engine never got to it."""
    frames: list[Frame] = []
    begun = session.run.phase == "running"
    while session.run.active:
        reply = await replies.get()
        session.reply(reply)
        begun = begun or session.run.phase == "running"
        if isinstance(reply, Framed) and session.frame is not None:
            frames.append(session.frame)
        _report(session, reply, progress)
    run = session.run
    if run.phase == "done":
        return MadeRun(session.versions, session.model, tuple(frames), run.settings or {}, run.ms)
    error = Unsuccessful(run.error, run.hint, run.usage)
    if not begun:
        raise error
    return error


def _report(session: Session, reply: Reply | Died, progress: OnProgress) -> None:
    engine, frame = session.engine, session.frame
    if session.run.phase == "queued" and not engine.down:
        progress(engine.message, engine.done / engine.total if engine.total else None)
    elif session.run.active and isinstance(reply, Alive) and session.doing is not None:
        progress(doing_text(session.doing, width()), session.run.progress)
    elif session.run.active and frame is not None and frame.progress is not None:
        progress(frame.caption, frame.progress)


def result_json(lesson: str, result: MadeRun) -> str:
    """The run as one JSON object; `seed` is null where nothing is random."""
    from llm_holes.tui.cli.json import dumps

    return dumps(
        {
            "lesson": lesson,
            "model": result.model,
            "settings": result.settings,
            "seed": result.settings.get("seed"),
            "measured": result.frames[-1].measured if result.frames else {},
            "frames": result.frames,
            "versions": result.versions,
            "ms": result.ms,
        }
    )


def result_text(result: MadeRun) -> str:
    """The last frame, which has everything the run measured."""
    from llm_holes.tui.draw.as_text import frame_text

    return frame_text(result.frames[-1], width()).rstrip() if result.frames else "The run showed nothing."


def width() -> int:
    """The columns to fill with plain text."""
    return max(min(shutil.get_terminal_size((100, 24)).columns, 120), 40)


class Progress:
    """Shows on stderr what is being waited for: one line rewritten in place on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._shown = False
        self._last = time.monotonic()

    def __call__(self, message: str, share: float | None) -> None:
        line = visible(message) + (f" {percent(share)}" if share is not None else "")
        now = time.monotonic()
        if self._terminal:
            width = os.get_terminal_size(2).columns - 1
            steer("\r\x1b[K")
            print(line[:width], end="", file=sys.stderr, flush=True)
            self._shown = True
        elif now - self._last >= SPARSE_SECONDS:
            print(line, file=sys.stderr, flush=True)
            self._last = now

    def clear(self) -> None:
        if self._shown:
            steer("\r\x1b[K")
            self._shown = False
