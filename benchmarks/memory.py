"""What engines have in memory: ready, after a pass over all weights, several at once, at the peak of “Gradients” and
after it, and after many runs.

`python benchmarks/memory.py [--model NAME|DIR|FILE.gguf] [--runs 120]` prints a table in MB. Private is what a process
has alone; a sum divides what several have. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from engines import Memory, Running

from llm_holes.engine.checkpoint import store

PASS, CHEAP = "final-vector-to-token", ("vectors", "tokenization")
"""A lesson that reads all weights, and quick ones to be run again and again."""
ENGINES = (1, 2, 4)
LOOK_SECONDS = 0.05
REST_SECONDS = 0.3
"""After a run an engine gives back what it took."""
TOGETHER = 10
"""Short runs after which it is looked at again."""


@asynccontextmanager
async def looked_at(engine: Running) -> AsyncIterator[Callable[[], Memory]]:
    """Meanwhile looks again and again at the engine: the most it had of each."""
    seen = [engine.memory()]

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            seen.append(engine.memory())

    task = asyncio.create_task(look())
    yield lambda: Memory(*(max(getattr(one, name) for one in seen) for name in Memory.__dataclass_fields__))
    task.cancel()


def told(what: str, memory: Memory, more: str = "") -> None:
    print(f"| {what} | {memory.resident:,.0f} | {memory.private:,.0f} | {more} |", flush=True)


async def rested(engine: Running, *lessons: str) -> Memory:
    """The memory some time after runs of these."""
    for lesson in lessons:
        await engine.run(lesson)
    await asyncio.sleep(REST_SECONDS)
    return engine.memory()


async def measured(model: str | None, runs: int, weights: float) -> None:
    print("| | resident | private | |\n|---|---|---|---|")
    engines = [await Running(model, 1).start()]
    told("ready", engines[0].memory(), f"at most 1.15 × weights + 250: {1.15 * weights + 250:,.0f}")
    told("after a pass over all weights", await rested(engines[0], PASS))
    for count in ENGINES[1:]:
        engines += [await Running(model, 1).start() for _ in range(count - len(engines))]
        last = await rested(engines[-1], PASS)
        mapped = engines[-1].weights()
        together = sum(engine.memory().divided for engine in engines)
        own = f"{mapped.private / mapped.resident:.0%} of its {mapped.resident:,.0f} MB of weights private"
        told(f"the last of {count} engines, after one", last, f"{own}; all together {together:,.0f}")
    for engine in engines[1:]:
        await engine.close()
    async with looked_at(engines[0]) as peak:
        await engines[0].run("gradients")
        told("the peak of “Gradients”", peak())
    await asyncio.sleep(REST_SECONDS)
    told("after it", engines[0].memory())
    sizes = [await rested(engines[0], *CHEAP * (TOGETHER // len(CHEAP))) for _ in range(runs // TOGETHER)]
    first = max(size.private for size in sizes[: len(sizes) // 3])
    grown = f"{sizes[-1].private / first - 1:+.1%} beside the first third"
    told(f"after {TOGETHER * len(sizes)} short runs", sizes[-1], grown)
    await engines[0].close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--runs", type=int, default=120)
    asked = parser.parse_args()
    folder = Path(store.locate(asked.model, lambda status: None).folder)
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    asyncio.run(measured(asked.model, asked.runs, weights))


if __name__ == "__main__":
    main()
