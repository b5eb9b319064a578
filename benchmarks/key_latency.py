"""Time from a key to the first bytes of its answer while the real engine generates: median and 95th percentile.

`python benchmarks/key_latency.py [--keys 100] [--lesson kv-cache]` runs the lesson in a pty and presses j and
k in the tree meanwhile. Uses the default model, which must be in the cache.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median, quantiles

from pty_run import Terminal

PAUSE = 0.03
"""Seconds without output before a key is pressed, so that what follows is its answer and not a frame."""


def latencies(terminal: Terminal, keys: int) -> list[float]:
    found = []
    for number in range(keys):
        if number % 20 == 0:
            terminal.send(b"r")
            time.sleep(0.2)
        end = time.perf_counter() + 1
        while terminal.read(PAUSE) and time.perf_counter() < end:
            pass
        pressed = time.perf_counter()
        terminal.send(b"jk"[number % 2 : number % 2 + 1])
        if terminal.read(5):
            found.append(time.perf_counter() - pressed)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--lesson", default="kv-cache")
    args = parser.parse_args()
    code = f"from llm_holes.tui.cli.main import main; main(['--lesson', {args.lesson!r}])"
    terminal = Terminal([sys.executable, "-c", code])
    try:
        terminal.wait(lambda output: b"ready" in output, 180)
        terminal.drain(quiet=3, seconds=60)  # the first step runs by itself
        idle = terminal.drain(quiet=5, seconds=5)
        terminal.send(b"\x1b")  # to the map
        terminal.drain()
        times = latencies(terminal, args.keys)
    finally:
        terminal.close()
    print(f"idle     {idle} bytes in 5 s")
    print(f"median   {median(times) * 1000:6.1f} ms of {len(times)} keys")
    print(f"p95      {quantiles(times, n=20)[-1] * 1000:6.1f} ms  (at most 100)")


if __name__ == "__main__":
    main()
