"""Reading a prompt: the exact decoder beside transformers in fp32, the packed ones beside llama.cpp.

`python benchmarks/prefill.py [--model NAME|DIR|FILE.gguf] [--threads 1] [--rounds 5] [--tokens 64 512 2048]` lets all
of them read the same tokens in turns and prints medians and ratios, by wall clock and processor time. llama.cpp as in
decode.py.
"""

from __future__ import annotations

import argparse

import peers
from decode import writers

PEERS = ("transformers fp32", "llama.cpp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, nargs="+", default=[64, 512, 2048])
    asked = parser.parse_args()
    peers.quiet(asked.threads)
    found, _, prompt = writers(asked.model, asked.threads)
    for count in asked.tokens:
        ids = (prompt * (count // len(prompt) + 1))[:count]
        runs: dict[str, list[peers.Stopwatch]] = {name: [] for name in found}
        for _ in range(asked.rounds):
            for name, writer in found.items():
                runs[name].append(writer.read(ids))
        print(f"{count} tokens, {asked.threads} thread(s)")
        for name, watches in runs.items():
            wall, cpu = [watch.wall for watch in watches], [watch.cpu for watch in watches]
            peer = "transformers fp32" if name == "exact" else "llama.cpp"
            beside = f"{peers.ratio(runs, name, peer)} {peer}" if peer in runs and name not in PEERS else ""
            rate = f"{count / min(cpu):8,.0f} tokens/s at best"
            print(f"  {name:18}{peers.spread(wall):>32} ms, processor{peers.spread(cpu):>32}{rate}  {beside}")


if __name__ == "__main__":
    main()
