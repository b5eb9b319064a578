"""Tokens per second of writing: the exact decoder beside transformers in fp32, the packed ones beside llama.cpp.

`python benchmarks/decode.py [--model NAME|DIR|FILE.gguf] [--threads 1] [--rounds 7] [--new 24]` lets all of them write
in turns, so that what else the machine does meets all alike, and prints milliseconds per token of wall clock and of
processor, tokens per second, and what share of the bytes that this machine reads in that time are weights. That exact
and transformers write the same tokens is asserted. llama.cpp needs `pip install -e '.[bench]'` and a GGUF file.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import peers

PROMPT = "The history of computing began when people first used stones and beads to count. Later"


def writers(model: str | None, threads: int) -> tuple[dict[str, peers.Writer], dict[str, int], list[int]]:
    """Those that are measured by name, the bytes of weights that a token of theirs reads, and the prompt."""
    from llm_holes.engine.checkpoint import store
    from llm_holes.engine.engine import Engine
    from llm_holes.engine.surgery.operations import PackedWeights, matrices, weight_bytes

    files = store.locate(model, lambda status: None)
    engine = Engine.load(files, threads)
    int8, int4 = (PackedWeights(bits).apply(engine.model) for bits in (8, 4))
    found: dict[str, peers.Writer] = {"transformers fp32": peers.Transformers(Path(files.folder))}
    sizes = {"transformers fp32": weight_bytes(engine.model, matrices(engine.model, "all"))}
    for name, decoder in {"exact": engine.model, "int8": int8, "int4": int4}.items():
        found[name] = peers.Ours(decoder)
        sizes[name] = weight_bytes(decoder, matrices(decoder, "all"))
    if files.gguf and find_spec("xllamacpp"):
        found["llama.cpp"] = peers.LlamaCpp(files.gguf, threads)
        sizes["llama.cpp"] = Path(files.gguf).stat().st_size
    return found, sizes, engine.encode(PROMPT)


def told(runs: Mapping[str, list[peers.Written]], sizes: Mapping[str, int], read: float) -> None:
    print(f"{'':18}{'ms a token':>26}{'ms of processor':>26}{'tokens/s':>10}{'of reading':>11}")
    for name, written in runs.items():
        wall, cpu = [w.wall for w in written], [w.cpu for w in written]
        share = sizes[name] / read / 1e9 / min(wall)
        print(f"{name:18}{peers.spread(wall):>26}{peers.spread(cpu):>26}{1 / median(wall):10.1f}{share:11.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--new", type=int, default=24)
    asked = parser.parse_args()
    peers.quiet(asked.threads)
    found, sizes, prompt = writers(asked.model, asked.threads)

    from llm_holes.engine.machine import read_gb_per_s

    runs: dict[str, list[peers.Written]] = {name: [] for name in found}
    reads: list[float] = []
    for _ in range(asked.rounds):
        reads.append(read_gb_per_s(lambda: False))
        for name, writer in found.items():
            runs[name].append(writer.write(prompt, asked.new))
    assert runs["exact"][0].ids == runs["transformers fp32"][0].ids, "exact and transformers write differently"
    print(f"{asked.threads} thread(s); reads {max(reads):.1f} GB/s at best, {median(reads):.1f} in the median")
    told(runs, sizes, max(reads))
    print("exact", peers.ratio(runs, "exact", "transformers fp32"), "transformers")
    for name in ("int8", "int4"):
        if "llama.cpp" in runs:
            print(name, peers.ratio(runs, name, "llama.cpp"), "llama.cpp")


if __name__ == "__main__":
    main()
