"""Reading a prompt: the exact decoder beside transformers in fp32, int4 beside llama.cpp.

`python benchmarks/prefill.py [--model NAME|DIR|FILE.gguf] [--threads 1] [--rounds 24] [--tokens 64 512 2048]` lets all
of them read the same tokens in turns, so many times 64 tokens and longer texts less often, and prints tokens a second
of processor time at best and medians of the ratios, by wall clock and processor time. llama.cpp as in decode.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import peers
from decode import writers

BESIDE = {"exact": "transformers fp32", "int4": "llama.cpp"}
FEWEST = 2
"""Rounds of the longest text."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--tokens", type=int, nargs="+", default=[64, 512, 2048])
    asked = parser.parse_args()
    peers.quiet(asked.threads)
    found, _, prompt = writers(asked.model, asked.threads)
    read = [name for name in ("transformers fp32", "exact", "int4", "llama.cpp") if name in found]
    print(f"{asked.threads} thread(s)\n| tokens | {' | '.join(read)} |\n|---{'|---' * len(read)}|")
    for count in asked.tokens:
        ids = (prompt * (count // len(prompt) + 1))[:count]
        runs: dict[str, list[peers.Stopwatch]] = {name: [] for name in read}
        for _ in range(max(asked.rounds * 64 // count, FEWEST)):
            for name in read:
                runs[name].append(found[name].read(ids))
        cells = [_cell(count, runs, name) for name in read]
        print(f"| {count:,} | {' | '.join(cells)} |", flush=True)


def _cell(count: int, runs: Mapping[str, Sequence[peers.Stopwatch]], name: str) -> str:
    rate = f"{count / min(watch.cpu for watch in runs[name]):,.0f}"
    return f"{rate}, {peers.ratio(runs, name, BESIDE[name])}" if BESIDE.get(name) in runs else rate


if __name__ == "__main__":
    main()
