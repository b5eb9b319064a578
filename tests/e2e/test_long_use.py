"""Hours of use: neither end grows, and no storm of runs leaves it stuck. 300 runs, 500 openings and 200 storms in
`just soak`, on the default model; a slice of that otherwise, on a tiny one."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from llm_holes.engine.ipc.client import command_for
from llm_holes.engine.ipc.messages import Cancel, Failed, Finished, Ready, Run
from llm_holes.lessons.catalog import catalog
from tests.support.paths import SUPPORT
from tests.support.processes import child
from tests.support.soak import examples
from tests.support.talk import Talk
from tests.support.terminal import Terminal
from tests.support.tiny_families import write_family

RUNS, OPENINGS, STORMS = min(examples(24), 300), min(examples(24), 500), min(examples(8), 200)
LONG = RUNS == 300
STEPS = 31 if LONG else 2
"""To the last lesson, or on to the next ones."""
CHEAP = ("tokens", "vectors", "dot-product", "embeddings", "hidden-states", "ffn", "attention")
GROWTH = 0.05


@pytest.fixture
async def talk(home: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Talk]:
    """A real engine, ready."""
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    if LONG:
        monkeypatch.setenv("HOME", str(Path("~").expanduser()))
    model = None if LONG else str(write_family(tmp_path / "m", "llama-rope3", 1024))
    made = Talk(*command_for("local", model, threads=1))
    await made.client.start()
    await made.until(lambda reply: isinstance(reply, Ready), 60)
    try:
        yield made
    finally:
        await made.client.close()


def own_bytes(pid: int) -> int:
    """What the process has in memory of its own; the model's pages are everybody's."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^Private_(?:Clean|Dirty):\s*(\d+) kB", rollup, re.MULTILINE)) * 1024


def assert_steady(sizes: list[int]) -> None:
    """The end is hardly larger than the first third, which has loaded everything there is to load."""
    begun = max(sizes[: len(sizes) // 3])
    assert sizes[-1] <= begun * (1 + GROWTH), [f"{size / 2**20:.1f}" for size in sizes]


async def test_run_after_run_the_engine_grows_no_further(talk: Talk) -> None:
    sizes = []
    for number in range(1, RUNS + 1):
        talk.client.send(Run(number, CHEAP[number % len(CHEAP)], {}))
        assert isinstance(await talk.answer(number, 120), Finished)
        talk.replies.clear()
        if number % len(CHEAP) == 0:
            sizes.append(own_bytes(talk.pid))
    assert_steady(sizes)


async def test_no_storm_of_runs_and_cancels_leaves_the_engine_stuck(talk: Talk) -> None:
    rng, number = Random(18), 0
    lessons = list(catalog.load().lessons)
    for _ in range(STORMS):
        for _ in range(rng.randrange(1, 30)):
            number += 1
            talk.client.send(Run(number, rng.choice(lessons), {}))
            if rng.random() < 0.5:
                talk.client.send(Cancel(number - rng.choice([0, 0, 1, 5])))
        number += 1
        talk.client.send(Run(number, "tokens", {}))
        assert isinstance(await talk.answer(number, 60), Finished)
        last = {reply.id for reply in talk.replies if not isinstance(reply, Failed) and hasattr(reply, "id")}
        assert max(last) == number
        talk.replies.clear()


def test_lesson_after_lesson_the_app_grows_no_further(home: dict[str, str]) -> None:
    there_and_back = "B" + "d" * STEPS + "B" * (STEPS - 1)
    with Terminal([sys.executable, str(SUPPORT / "recorded_app.py"), "what-happens"], home) as t:
        t.until("ready", 60)
        sizes = []
        for opened in range(1, OPENINGS + 1):
            before = len(t.output)
            t.keys(there_and_back[opened % len(there_and_back)])
            t.until(lambda: len(t.output) > before, 20)  # noqa: B023
            settle(t)
            if opened % len(there_and_back) == 0:
                sizes.append(own_bytes(child(t.pid)))
        assert_steady(sizes)
        t.keys("\x11")
        assert t.status() == 0


def settle(t: Terminal) -> None:
    """Until nothing is drawn for a moment."""
    until, before = time.monotonic() + 5, -1
    while before != len(t.output) and time.monotonic() < until:
        before = len(t.output)
        t.read(0.1)
