"""One run of one lesson without the app: starts an engine, asks, collects the answer, ends the engine."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc.client import Client, Died
from llm_holes.engine.ipc.messages import (
    Failed,
    Finished,
    Framed,
    Hello,
    ModelInfo,
    Ready,
    Reply,
    Run,
    Status,
    Unavailable,
)
from llm_holes.tui.draw.sanitize import visible

SPARSE_SECONDS = 10.0


class Unsuccessful(Exception):
    """The run has no result. `usage` is true when the request was wrong, `gone` when the engine is no longer there."""

    def __init__(self, message: str, hint: str = "", usage: bool = False, gone: bool = False) -> None:
        super().__init__("\n".join(filter(None, (message, hint))))
        self.usage = usage
        self.gone = gone


@dataclass
class Result:
    versions: dict[str, str] = field(default_factory=dict)
    model: ModelInfo | None = None
    frames: list[Frame] = field(default_factory=list)
    settings: dict[str, Value] = field(default_factory=dict)
    ms: float = 0.0


def run(
    command: Sequence[str], lesson: str, settings: Mapping[str, Value], progress: Callable[[str, float | None], None]
) -> Result:
    """The finished run. Raises Unsuccessful; whatever happens, no engine is left."""
    outcomes: list[Result | Unsuccessful] = []
    run_each(command, [(lesson, settings)], progress, outcomes.append)
    if isinstance(outcomes[0], Unsuccessful):
        raise outcomes[0]
    return outcomes[0]


def run_each(
    command: Sequence[str],
    runs: Sequence[tuple[str, Mapping[str, Value]]],
    progress: Callable[[str, float | None], None],
    done: Callable[[Result | Unsuccessful], None],
) -> None:
    """Makes the runs, lesson and settings, one after the other on one engine; `done` is given the outcome of each.

    An engine that dies of a run is started again for the next. Raises Unsuccessful if there is none to run on.
    """
    asyncio.run(
        _run_each(command, [Run(n, name, dict(given)) for n, (name, given) in enumerate(runs, 1)], progress, done)
    )


async def _run_each(
    command: Sequence[str],
    requests: Sequence[Run],
    progress: Callable[[str, float | None], None],
    done: Callable[[Result | Unsuccessful], None],
) -> None:
    replies: asyncio.Queue[Reply | Died] = asyncio.Queue()
    client = Client(command, replies.put_nowait)
    result = Result()
    try:
        await client.start()
        for request in requests:
            client.send(request)
            result = Result(result.versions, result.model)
            try:
                while not _finished(await replies.get(), result, progress):
                    pass
                done(result)
            except Unsuccessful as error:
                if result.model is None:
                    raise
                done(error)
                if error.gone and request is not requests[-1]:
                    result = Result()
                    await client.restart()
    finally:
        await client.close()


def _finished(reply: Reply | Died, result: Result, progress: Callable[[str, float | None], None]) -> bool:
    """Puts the reply into the result; true if it was the last one. Raises Unsuccessful."""
    match reply:
        case Hello(_, versions):
            result.versions = versions
        case Status(_, message, done, total):
            progress(message, done / total if total else None)
        case Ready(model):
            result.model = model
        case Framed(_, frame):
            result.frames.append(frame)
            if frame.progress is not None:
                progress(frame.caption, frame.progress)
        case Finished(_, settings, ms):
            result.settings, result.ms = settings, ms
            return True
        case Unavailable(error, hint):
            raise Unsuccessful(error, hint, gone=True)
        case Failed(_, error, hint, usage):
            raise Unsuccessful(error, hint, usage)
        case Died(_, tail, reason):
            raise Unsuccessful(reason if reason.endswith(tail[-60:]) else f"{reason}\n{tail}", gone=True)
    return False


def result_json(lesson: str, result: Result) -> str:
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


def result_text(result: Result) -> str:
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
        line = visible(message) + (f" {share:.0%}" if share is not None else "")
        now = time.monotonic()
        if self._terminal:
            width = os.get_terminal_size(2).columns - 1
            print(f"\r\x1b[K{line[:width]}", end="", file=sys.stderr, flush=True)
            self._shown = True
        elif now - self._last >= SPARSE_SECONDS:
            print(line, file=sys.stderr, flush=True)
            self._last = now

    def clear(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False
