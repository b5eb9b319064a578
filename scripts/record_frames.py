"""Records the replies of the runs that a learner sees who walks through each lesson, for the tests to draw.

Usage: python scripts/record_frames.py [LESSON …]. Times in the recordings are those of this machine.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.client import Client, Died, command_for
from llm_holes.engine.ipc.messages import Failed, Finished, Framed, Hello, Ready, Reply, Run, Unavailable
from llm_holes.lessons.catalog import catalog

FOLDER = Path(__file__).parent.parent / "tests" / "tui" / "recordings"
ENDS = (Finished, Failed, Unavailable, Died)
KEPT_FRAMES = 3


def walked(lesson: catalog.Lesson) -> list[dict[str, Value]]:
    """The settings of the default, of each step and of each bet, each once."""
    found = [lesson.defaults()]
    for n, step in enumerate(lesson.steps):
        found.append(lesson.defaults() | lesson.step_settings(n))
        if step.bet is not None:
            found.append(lesson.bet_settings(n))
    return [settings for n, settings in enumerate(found) if settings not in found[:n]]


async def record(lesson: catalog.Lesson, settings: dict[str, Value]) -> list[Reply]:
    """All replies of one run, with only a few of the frames before the last."""
    replies: list[Reply] = []
    ended = asyncio.Event()

    def on_reply(reply: Reply | Died) -> None:
        if isinstance(reply, Died):
            raise SystemExit(f"the engine died: {reply.stderr_tail}")
        replies.append(reply)
        if isinstance(reply, ENDS):
            ended.set()

    client = Client(command_for("local", None, 1), on_reply)
    await client.start()
    client.send(Run(1, lesson.id, settings))
    await ended.wait()
    await client.close()
    frames = [reply for reply in replies if isinstance(reply, Framed)]
    kept = set(map(id, (*frames[:KEPT_FRAMES], frames[-1])))
    return [_portable(r) for r in replies if isinstance(r, Hello | Ready | Finished) or id(r) in kept]


def _portable(reply: Reply) -> Reply:
    """Without what is only true of this machine."""
    if isinstance(reply, Ready):
        return Ready(msgspec.structs.replace(reply.model, path="/cache/model"))
    return reply


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    lessons = catalog.load().lessons
    for name in sys.argv[1:] or list(lessons):
        runs = [asyncio.run(record(lessons[name], settings)) for settings in walked(lessons[name])]
        (FOLDER / f"{name}.msgpack").write_bytes(msgspec.msgpack.encode(runs))
        print(name, len(runs), "runs")


if __name__ == "__main__":
    main()
