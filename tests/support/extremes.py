"""Each lesson with its controls turned as far as they go, on the real engine: what that takes.

`python -m tests.support.extremes [LESSON…]` makes all of it, a line for each run; that takes hours.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.client import command_for
from llm_holes.engine.ipc.messages import Alive, Cancel, Cancelled, Failed, Finished, ModelInfo, Ready, Run
from llm_holes.engine.work import Doing
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.schema import Control
from llm_holes.lessons.catalog.settings import bounds
from tests.support.paths import ROOT
from tests.support.talk import Talk

LONG_WORDS = 3335
"""Words of a text of 4,000 tokens."""
SHORT_WORDS = 200
"""Words of a text of 250 tokens, which is never refused: all else at its maximum is then run."""
MOST_SECONDS = 120.0
MOST_STILL = 3.0
MOST_STOP = 1.0
MOST_BYTES = 6 * 2**30
TICK = os.sysconf("SC_CLK_TCK")
LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Case:
    lesson: str
    name: str
    settings: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a run took: seconds of processor time, in all, at most without a frame, at most with nothing new (a frame,
    or a heartbeat that tells of other work than the one before), and until it stopped when asked to; bytes at the peak.
    `refused` is the sentence where it was not begun."""

    case: Case
    seconds: float
    gap: float
    still: float
    stop: float
    peak: int
    refused: str = ""
    failed: str = ""

    @property
    def faults(self) -> list[str]:
        return [
            *([self.failed] if self.failed else []),
            *([f"took {self.seconds:.0f} s"] if self.seconds > MOST_SECONDS else []),
            *([f"{self.still:.1f} s with nothing new"] if self.still > MOST_STILL else []),
            *([f"stopped after {self.stop:.1f} s"] if self.stop > MOST_STOP else []),
            *([f"took {self.peak / 2**30:.1f} GiB"] if self.peak > MOST_BYTES else []),
        ]


def long_text(seed: int = 0, count: int = LONG_WORDS) -> str:
    """About 4,000 tokens, or so many words, in no order that repeats."""
    words = (ROOT / "lessons/shared/passage.txt").read_text(encoding="utf-8").split()
    return " ".join(random.Random(seed).choices(words, k=count))


def cases(lesson: Lesson, model: ModelInfo) -> Iterator[Case]:
    """All controls at once, with a long text and with one that is not refused, then each alone."""
    most = {control.name: _most(control, model) for control in lesson.controls}
    together = {name: values[-1] for name, values in most.items() if name == "text" or not isinstance(values[-1], str)}
    yield Case(lesson.id, "all", together)
    if "text" in together:
        yield Case(lesson.id, "all but a long text", together | {"text": long_text(count=SHORT_WORDS)})
    for name, values in most.items():
        for value in values:
            label = "long" if isinstance(value, str) and len(value) > 99 else value
            yield Case(lesson.id, f"{name}={label}", {name: value})


def _most(control: Control, model: ModelInfo) -> list[Value]:
    """What takes longest is known of numbers only: of a choice it may be any."""
    if control.kind == "text":
        return [long_text()]
    if control.kind == "choice":
        return [choice for choice in control.choices if choice != control.default]
    if control.kind == "toggle":
        return [not control.default]
    most = bounds(control, model)[1]
    assert most is not None, f"{control.name} has no maximum"
    return [most if control.kind == "float" else int(most)]


async def take(talk: Talk, case: Case, number: int) -> Taken:
    """Makes the run, at most until it is over its time; `number` is the first of two numbers no run has had."""
    _clear_peak(talk.pid)
    start, wall = _spent(talk.pid), time.monotonic()
    talk.client.send(Run(number, case.lesson, case.settings))
    gap, still = _Longest(start), _Longest(start)
    while not (answers := _answers(talk, number)):
        await asyncio.sleep(LOOK)
        now = _spent(talk.pid)
        frames = len(talk.frames(number))
        gap.look(now, frames)
        still.look(now, (frames, _doing(talk)))
        if now - start > MOST_SECONDS or time.monotonic() - wall > 3 * MOST_SECONDS:
            break
    seconds = _spent(talk.pid) - start
    peak = _peak(talk.pid)
    if answers and isinstance(answers[0], Failed):
        said = answers[0].error
        refused = answers[0].usage and seconds < MOST_STILL  # before the run, or on its first picture
        return Taken(case, seconds, gap.most, still.most, 0.0, peak, said if refused else "", "" if refused else said)
    stop = await _stopped(talk, case, number, seconds, running=not answers)
    talk.replies.clear()
    return Taken(case, seconds, gap.most, still.most, stop, max(peak, _peak(talk.pid)))


class _Longest:
    """The longest time that what was looked at stayed as it was."""

    def __init__(self, now: float) -> None:
        self.most, self._since = 0.0, now
        self._seen: object = None

    def look(self, now: float, at: object) -> None:
        if at != self._seen:
            self._since, self._seen = now, at
        self.most = max(self.most, now - self._since)


def _doing(talk: Talk) -> Doing | None:
    """The latest that the engine told of its work."""
    return next((reply.doing for reply in reversed(talk.replies) if isinstance(reply, Alive)), None)


async def _stopped(talk: Talk, case: Case, number: int, seconds: float, running: bool) -> float:
    """The seconds until the run, or the same one begun anew, has stopped."""
    if not running:
        number += 1
        begun = _spent(talk.pid)
        until = random.Random(str(case)).uniform(0, min(seconds, 10))
        talk.client.send(Run(number, case.lesson, case.settings))
        while _spent(talk.pid) - begun < until and not _answers(talk, number):
            await asyncio.sleep(LOOK / 10)
    asked = _spent(talk.pid)
    talk.client.send(Cancel(number))
    await talk.answer(number, 120)
    return _spent(talk.pid) - asked


def _answers(talk: Talk, number: int) -> list[object]:
    assert talk.pid
    return [r for r in talk.replies if isinstance(r, Finished | Cancelled | Failed) and r.id == number]


def _spent(pid: int) -> float:
    """Seconds of processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _clear_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> int:
    return int(re.findall(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


def line(taken: Taken) -> str:
    verdict = "FAULT" if taken.faults else "ok"
    figures = f"{taken.seconds:6.1f} s, frames {taken.gap:5.1f}, still {taken.still:4.1f}, stop {taken.stop:4.1f}"
    said = taken.refused[:200] or "; ".join(taken.faults)
    return (
        f"{verdict:5} {taken.case.lesson:22} {taken.case.name[:36]:36} {figures}, {taken.peak / 2**30:5.2f} GiB {said}"
    )


async def main(names: list[str]) -> None:
    talk = Talk(*command_for("local", threads=1))
    await talk.client.start()
    ready = await talk.until(lambda reply: isinstance(reply, Ready), 60)
    assert isinstance(ready, Ready)
    number = 1
    lessons = catalog.load().lessons
    todo = [(list(cases(lessons[name], ready.model))) for name in names or lessons]
    for case in (case for made in todo for case in made):
        try:
            taken = await take(talk, case, number)
        except (FileNotFoundError, ProcessLookupError, TimeoutError) as error:
            taken = Taken(case, 0.0, 0.0, 0.0, 0.0, 0, failed=f"{type(error).__name__}: {talk.replies[-1]}"[:300])
            talk.replies.clear()
            await talk.client.restart()
            await talk.until(lambda reply: isinstance(reply, Ready), 60)
        number += 2
        print(line(taken), flush=True)
    await talk.client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
