"""How long the engine takes to be ready and how much memory it then has.

`python benchmarks/start.py [--model NAME|DIR|FILE.gguf] [--rounds 5]` starts the engine's process, in turns with one
that imports torch and reads the file of the weights, and prints the times, their ratio, and how much memory of the
engine's is resident, and how much of that is its own alone. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import peers

from llm_holes.engine.checkpoint import store
from llm_holes.engine.ipc.client import Client, Died
from llm_holes.engine.ipc.messages import Ready, Reply

FLOOR = """
import sys, torch
from pathlib import Path
for path in sys.argv[1:]:
    with open(path, "rb", 0) as file:
        while file.read(1 << 24):
            pass
"""


async def ready(model: str | None) -> tuple[float, dict[str, float]]:
    """Seconds until the engine says that it is ready, and its memory by kind, in MB."""
    done = asyncio.Event()

    def on_reply(reply: Reply | Died) -> None:
        if isinstance(reply, Ready | Died):
            done.set()

    started = time.perf_counter()
    client = Client(
        [sys.executable, "-m", "llm_holes.lessons.worker", *(["--model", model] if model else [])], on_reply
    )
    await client.start()
    await done.wait()
    seconds = time.perf_counter() - started
    children = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "worker"], capture_output=True, text=True)
    text = Path(f"/proc/{children.stdout.split()[0]}/smaps_rollup").read_text()
    await client.close()
    found = {name: int(kb) / 1e3 for name, kb in re.findall(r"(\w+):\s+(\d+) kB", text)}
    return seconds, {"resident": found["Rss"], "private": found["Private_Clean"] + found["Private_Dirty"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    paths = sorted(Path(store.locate(asked.model, lambda status: None).folder).glob("*.safetensors"))
    weights = sum(path.stat().st_size for path in paths) / 1e6
    floors, starts, kinds = [], [], []
    for _ in range(asked.rounds):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", FLOOR, *map(str, paths)], check=True)
        floors.append(time.perf_counter() - began)
        seconds, kind = asyncio.run(ready(asked.model))
        starts.append(seconds)
        kinds.append(kind)
    print(f"import torch and read the file {peers.spread(floors)} ms")
    print(f"engine ready                   {peers.spread(starts)} ms")
    print(f"ratio                          {median(s / f for s, f in zip(starts, floors, strict=True)):7.2f}")
    resident, private = (median(kind[name] for kind in kinds) for name in ("resident", "private"))
    print(f"resident {resident:,.0f} MB, of it private {private:,.0f}; the weights are {weights:,.0f} MB")


if __name__ == "__main__":
    main()
