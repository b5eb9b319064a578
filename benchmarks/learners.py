"""What several engines do on one machine at once, beside what one does alone.

`python benchmarks/learners.py [--model NAME|DIR|FILE.gguf] [--learners 4] [--rounds 5] [--seconds 4]` starts that many
engines, each with the threads that it chooses for itself, and lets one and all of them work in turns. It prints how
many tokens all together write and read in a second of wall clock, and what several do of what one does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

import peers

from llm_holes.engine.cores import PASSIVE, Cores, allowed

PROMPT = "The history of computing began when people first used stones and beads to count. Later"
WRITTEN, READ = 8, 256
"""Tokens between two looks at the clock."""


class Learner:
    """An engine in a process of its own, which works when it is told to."""

    def __init__(self, model: str | None) -> None:
        options = ["--model", model] if model else []
        command = [sys.executable, __file__, "--works", *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.threads = int(self.answer())

    def begin(self, work: str, seconds: float) -> None:
        assert self._process.stdin
        print(work, seconds, file=self._process.stdin, flush=True)

    def answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def leave(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def at_once(learners: Sequence[Learner], work: str, seconds: float) -> list[float]:
    """Tokens per second of each of them."""
    for learner in learners:
        learner.begin(work, seconds)
    return [float(learner.answer()) for learner in learners]


def works(model: str | None) -> None:
    """What a learner's process does: for each line of stdin, `write` or `read` and how long, tokens per second."""
    cores = Cores()
    os.environ.update(PASSIVE, OPENBLAS_NUM_THREADS="1")

    from llm_holes.engine.checkpoint import store
    from llm_holes.engine.engine import Engine

    files = store.locate(model, lambda status: None)
    threads = cores.threads()
    engine = Engine.load(files, threads)
    ours, prompt = peers.Ours(engine.model), engine.encode(PROMPT)
    long = (prompt * READ)[:READ]
    ours.write(prompt, WRITTEN)
    print(threads, flush=True)
    for line in sys.stdin:
        work, seconds = line.split()
        began, done = time.perf_counter(), 0
        while (took := time.perf_counter() - began) < float(seconds):
            ours.write(prompt, WRITTEN) if work == "write" else ours.read(long)
            done += WRITTEN if work == "write" else READ
        print(done / took, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--learners", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--works", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.works:
        works(asked.model)
        return
    learners = [Learner(asked.model) for _ in range(asked.learners)]
    print(f"{allowed():g} cores; threads of the engines: {[one.threads for one in learners]}")
    for work in ("write", "read"):
        rounds = [
            (sum(at_once(learners[:1], work, asked.seconds)), sum(at_once(learners, work, asked.seconds)))
            for _ in range(asked.rounds)
        ]
        one, all_ = ([pair[n] for pair in rounds] for n in (0, 1))
        ratio = median(many / alone for alone, many in rounds)
        print(f"{work}: {peers.spread(one, 1)} tokens/s alone, {peers.spread(all_, 1)} together, {ratio:.2f} ×")
    for one in learners:
        one.leave()


if __name__ == "__main__":
    main()
