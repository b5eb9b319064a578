"""What opening a lesson costs, in tree steps: one tree step is what moving the cursor of the map by a line costs.

`python benchmarks/opening.py [--lessons 32] [--rounds 3]` drives the app without a terminal or an engine and counts
processor time: from the wish to the first paint that shows the lesson's words, to its last paint, and of a key in the
map. The first round reads each lesson's files; the later ones open what was open before. Medians over the lessons.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from llm_holes.engine.ipc.messages import Request
from llm_holes.tui.app import HolesApp


class Silent:
    """An engine that says nothing."""

    def __init__(self, on_reply: Callable[[Any], None]) -> None: ...

    async def start(self) -> None: ...

    def send(self, request: Request) -> None: ...

    async def restart(self) -> None: ...

    async def close(self) -> None: ...


class Paints:
    """The app, and the processor time of each of its paints, with whether it showed the words of the wanted lesson."""

    def __init__(self) -> None:
        self.app = HolesApp([], None, link=Silent)
        self.paints: list[tuple[float, bool]] = []
        self.wanted = ""
        self._display = self.app._display
        self.app._display = self._noted  # type: ignore[method-assign]

    def _noted(self, screen: Any, renderable: Any) -> None:
        self._display(screen, renderable)
        words = self.app.main.words.lesson if self.app.main.page is not None else None
        self.paints.append((time.process_time(), words is not None and words.id == self.wanted))


async def quiet(at: Paints) -> None:
    """Waits until nothing has been painted for a while, which takes no processor time."""
    seen = -1
    while seen != len(at.paints):
        seen = len(at.paints)
        await asyncio.sleep(0.3)


async def opened(at: Paints, lesson: str) -> tuple[float, float]:
    """Milliseconds to the first paint with the lesson's words, and to the last one."""
    await quiet(at)
    at.paints, at.wanted, began = [], lesson, time.process_time()
    at.app.main.open_lesson(lesson)
    while not any(shown for _, shown in at.paints):
        await asyncio.sleep(0.05)
    await quiet(at)
    first = next(seen for seen, shown in at.paints if shown)
    return (first - began) * 1e3, (at.paints[-1][0] - began) * 1e3


async def stepped(at: Paints, key: str) -> float:
    """Milliseconds of a step of the map's cursor, to its last paint."""
    at.app.main.holes.focus()
    await quiet(at)
    at.paints, began = [], time.process_time()
    at.app.main.holes.action_cursor_down() if key == "down" else at.app.main.holes.action_cursor_up()
    await quiet(at)
    return (at.paints[-1][0] - began) * 1e3


async def measured(count: int, rounds: int) -> None:
    at = Paints()
    async with at.app.run_test(size=(120, 40)):
        await quiet(at)
        lessons = list(at.app.main.catalog.lessons)[:count]
        await opened(at, lessons[-1])
        steps = [await stepped(at, key) for _ in range(8) for key in ("up", "down")]
        step = median(steps)
        print(f"a tree step {step:6.1f} ms ({min(steps):.1f} to {max(steps):.1f})")
        for number in range(rounds):
            found = [await opened(at, lesson) for lesson in lessons]
            firsts, lasts = zip(*found, strict=True)
            print(
                f"round {number + 1}: first paint {median(firsts):6.1f} ms = {median(firsts) / step:5.1f} steps", end=""
            )
            print(f", last {median(lasts):6.1f} ms = {median(lasts) / step:5.1f}; the slowest {max(firsts):.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lessons", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        os.environ["LLM_HOLES_STATE"] = state
        asyncio.run(measured(asked.lessons, asked.rounds))


if __name__ == "__main__":
    main()
