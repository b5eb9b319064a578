"""Engine processes as the app starts them, which run a lesson when asked to; looked at from outside. Linux only."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.client import Client, Died
from llm_holes.engine.ipc.messages import Cancel, Cancelled, Failed, Finished, Framed, Ready, Reply, Run, Unavailable


@dataclass(frozen=True)
class Memory:
    """MB that are resident, those of them that are the process's own, and what it has if all that several processes
    have is divided among them."""

    resident: float
    private: float
    divided: float

    @classmethod
    def of(cls, text: str) -> Memory:
        """Of what the kernel says in `smaps`, summed."""
        found: Counter[str] = Counter()
        for name, kb in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE):
            found[name] += int(kb) * 1024 / 1e6
        return cls(found["Rss"], found["Private_Clean"] + found["Private_Dirty"], found["Pss"])


class Running:
    """An engine process on `model`; `seconds` is what it took to be ready."""

    def __init__(self, model: str | None, threads: int | None = None) -> None:
        words = [*(["--model", model] if model else []), *(["--threads", str(threads)] if threads else [])]
        self.client = Client([sys.executable, "-m", "llm_holes.lessons.worker", *words], self._heard)
        self.seconds = 0.0
        self._last: Reply | Died | None = None
        self._news = asyncio.Event()
        self._runs = 0

    async def start(self, again: bool = False) -> Running:
        """Starts the process, or `again` in the place of the one there is, as for another model."""
        started, self._last = time.perf_counter(), None
        await (self.client.restart() if again else self.client.start())
        await self._until((Ready,))
        self.seconds = time.perf_counter() - started
        return self

    async def run(self, lesson: str) -> None:
        """Runs the lesson with its defaults to the end."""
        self._ask(lesson, {})
        await self._until((Finished,))

    async def first_frame(self, lesson: str, settings: Mapping[str, Value]) -> float:
        """Seconds of the engine's processor until the lesson's first frame; then the run is stopped."""
        before = self._processor()
        self._ask(lesson, settings)
        await self._until((Framed,))
        took = self._processor() - before
        self.client.send(Cancel(self._runs))
        await self._until((Cancelled,))
        return took

    def _ask(self, lesson: str, settings: Mapping[str, Value]) -> None:
        self._runs, self._last = self._runs + 1, None
        self.client.send(Run(self._runs, lesson, dict(settings)))

    def _processor(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def close(self) -> None:
        await self.client.close()

    def memory(self) -> Memory:
        return Memory.of(Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii"))

    def weights(self) -> Memory:
        """The same of the mapped files of weights alone."""
        areas = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{self.pid}/smaps").read_text(), flags=re.MULTILINE)
        return Memory.of("".join(area for area in areas if area.partition("\n")[0].endswith(".safetensors")))

    @property
    def pid(self) -> int:
        connection = self.client._connection
        assert connection is not None
        assert connection._transport is not None
        return connection._transport.get_pid()

    def _heard(self, reply: Reply | Died) -> None:
        self._last = reply
        self._news.set()

    async def _until(self, wanted: tuple[type, ...]) -> None:
        while not isinstance(self._last, wanted):
            if isinstance(self._last, Died | Failed | Unavailable):
                raise RuntimeError(self._last)
            self._news.clear()
            await self._news.wait()
