"""How long the engine takes to be ready, at first and when it is started again in a session.

`python benchmarks/start.py [--model NAME|DIR|FILE.gguf] [--rounds 5]` starts the engine's process, and another in its
place, in turns with one that imports torch and reads the file of the weights, and prints the times and their ratios.
Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import peers
from engines import Running

from llm_holes.engine.checkpoint import store

FLOOR = """
import sys, torch
from pathlib import Path
for path in sys.argv[1:]:
    with open(path, "rb", 0) as file:
        while file.read(1 << 24):
            pass
"""


async def ready(model: str | None) -> tuple[float, float]:
    """Seconds until the engine says that it is ready, and until the one after it does, with the end of the first."""
    engine = await Running(model).start()
    first = engine.seconds
    await engine.start(again=True)
    await engine.close()
    return first, engine.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    paths = sorted(Path(store.locate(asked.model, lambda status: None).folder).glob("*.safetensors"))
    times: dict[str, list[float]] = {"import torch and read the file": [], "engine ready": [], "started again": []}
    for _ in range(asked.rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", FLOOR, *map(str, paths)], check=True)
        round_ = time.perf_counter() - began, *asyncio.run(ready(asked.model))
        for found, seconds in zip(times.values(), round_, strict=True):
            found.append(seconds)
    floor, *_ = times.values()
    print("| | ms | |\n|---|---|---|")
    for name, found in times.items():
        ratio = median(seconds / least for seconds, least in zip(found, floor, strict=True))
        print(f"| {name} | {peers.spread(found).strip()} | {ratio:.2f} × |")


if __name__ == "__main__":
    main()
