"""Time from a key to the first bytes of its answer while the real engine generates, and the processor time of it in the
app's event loop, which a busy machine leaves as it is: median and 95th percentile. Linux only.

`python benchmarks/key_latency.py [--keys 60] [--lesson kv-cache] [--size 160x45] [--flood]` runs the lesson in a pty
and meanwhile moves in the map of holes, walks with the cursor in the picture, types into the text and turns a dial.
Uses the default model, which must be in the cache. With `--flood` the engine sends a thousand frames a second
(flood.py).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median, quantiles

from pty_run import QUESTION, Terminal

PAUSE = 0.03
"""Seconds without output before a key is pressed, so that what follows is its answer and not a frame."""
SECONDS = 3
AT_A_TIME = 15
"""Keys pressed during one run, which begins anew before them."""
PLACES = {"tree": ("\x1b", "jk"), "cursor": ("", "lh"), "typing": ("e", "ab"), "dials": ("\t", "lh")}
"""What is measured: the key that leads there from the picture (escape leads back), and the keys that are pressed there.
"""


Answer = tuple[float, float]
"""Milliseconds until the first bytes, and of processor in the app's event loop meanwhile."""


def processor(terminal: Terminal) -> float:
    """Milliseconds of processor that the app's main thread has had; the terminal's process is its parent."""
    app = Path(f"/proc/{terminal.pid}/task/{terminal.pid}/children").read_text(encoding="ascii").split()[0]
    return int(Path(f"/proc/{app}/schedstat").read_text(encoding="ascii").split()[0]) / 1e6


def answers(terminal: Terminal, keys: str, count: int) -> list[Answer]:
    """The answers to so many keys, of which two take turns."""
    found = []
    for number in range(count):
        end = time.perf_counter() + 1
        while terminal.read(PAUSE) and time.perf_counter() < end:
            pass
        pressed, spent = time.perf_counter(), processor(terminal)
        terminal.send(keys[number % 2].encode())
        if terminal.read(5):
            found.append(((time.perf_counter() - pressed) * 1e3, processor(terminal) - spent))
    return found


def measured(terminal: Terminal, there: str, keys: str, count: int) -> list[Answer]:
    """The same from a place that the key `there` leads to from the picture, in runs of the lesson."""
    found: list[Answer] = []
    while len(found) < count:
        terminal.send(b"r")
        terminal.drain(quiet=0.2, seconds=1)
        if there:
            terminal.send(there.encode())
            terminal.drain(quiet=0.2, seconds=1)
        found += answers(terminal, keys, min(AT_A_TIME, count - len(found)))
        if there:
            terminal.send(b"\x1b")
            terminal.drain(seconds=1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=60)
    parser.add_argument("--lesson", default="kv-cache")
    parser.add_argument("--size", default="160x45")
    parser.add_argument("--flood", action="store_true")
    args = parser.parse_args()
    columns, lines = map(int, args.size.split("x"))
    code = f"from llm_holes.tui.cli.main import main; main(['--lesson', {args.lesson!r}])"
    command = [str(Path(__file__).with_name("flood.py"))] if args.flood else ["-c", code]
    terminal = Terminal([sys.executable, *command], columns, lines)
    try:
        terminal.wait(lambda output: b"ready" in output, 180)
        if args.flood:
            terminal.drain(quiet=1, seconds=3)
            terminal.send(b"r")
            before = len(terminal.output)
            terminal.drain(quiet=1, seconds=SECONDS)
            output = terminal.output[before:]
            print(f"{output.count(QUESTION)} paints of {len(output):,} bytes in {SECONDS} s")
        else:
            terminal.drain(quiet=3, seconds=60)
            print(f"idle: {terminal.drain(quiet=5, seconds=5)} bytes in 5 s")
        print(f"| keys, {args.size} | ms | p95 (at most 50) | of processor | p95 |\n|---|---|---|---|---|")
        for name, (there, keys) in PLACES.items():
            kinds = zip(*measured(terminal, there, keys, args.keys), strict=True)
            cells = [f"{median(times):.1f} | {quantiles(times, n=20)[-1]:.1f}" for times in kinds]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
    finally:
        terminal.close()


if __name__ == "__main__":
    main()
