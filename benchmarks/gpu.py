"""A GPU beside the CPU of the same machine: how near its logits are, how fast it reads and writes. For who has one.

`python benchmarks/gpu.py [--model NAME|DIR|FILE.gguf] [--device cuda] [--tokens 512] [--new 64]` prints, for fp32 and
bf16 on the device beside fp32 on the CPU: the largest difference of a logit and the KL divergence on the passage of the
lessons, tokens per second of reading a prompt and of writing, and their ratios to the CPU's.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.checkpoint import store
from llm_holes.engine.device import OnDevice, Place, chosen
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import ModelError
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import kl_nats, repeated
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.lessons.shared.passage import passage

REPEATS = 5


@dataclass(frozen=True)
class Figures:
    """Logits [pos, d_vocab] of the passage, on the CPU, and tokens per second."""

    logits: Tensor
    reading: float
    writing: float


def measured(files: store.ModelFiles, place: Place, tokens: int, new: int) -> Figures:
    with ExitStack() as stack:
        engine = Engine.load(files, torch.get_num_threads(), place)
        if place.device.type != "cpu":
            stack.enter_context(OnDevice(place.device))
        text = engine.encode(passage())
        ids = (text * (tokens // len(text) + 1))[:tokens]
        logits = engine.logits(text[:256]).cpu()
        _, read = repeated(REPEATS, prefill, engine, ids)
        prefilled = prefill(engine, ids)
        _, wrote = repeated(1, write, engine, prefilled, new)
        return Figures(logits, 1e3 * len(ids) / read.median, 1e3 * new / wrote.median)


def prefill(engine: Engine, ids: list[int]) -> ContiguousCache:
    cache = ContiguousCache(engine.model.config, len(ids) + 256)
    last_logits(engine.model, ids, cache)
    return cache


def write(engine: Engine, cache: ContiguousCache, new: int) -> None:
    token = 0
    for _ in range(new):
        token = int(last_logits(engine.model, [token], cache).argmax())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--device")
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--new", type=int, default=64)
    asked = parser.parse_args()
    files = store.locate(asked.model, lambda status: None)
    cpu = measured(files, Place(), asked.tokens, asked.new)
    print(f"{'':14}{'logits':>10}{'KL nats':>12}{'reading/s':>12}{'× cpu':>8}{'writing/s':>12}{'× cpu':>8}")
    print(f"{'cpu fp32':14}{'':10}{'':12}{cpu.reading:12,.0f}{'':8}{cpu.writing:12,.1f}")
    for dtype in ("fp32", "bf16"):
        try:
            place = chosen(asked.device, dtype)
            found = measured(files, place, asked.tokens, asked.new)
        except ModelError as error:
            print(f"{dtype}: {error}")
            continue
        off, kl = float((found.logits - cpu.logits).abs().max()), kl_nats(cpu.logits, found.logits)
        read, wrote = found.reading / cpu.reading, found.writing / cpu.writing
        print(f"{f'{place.device} {dtype}':14}{off:10.2g}{kl:12.2g}", end="")
        print(f"{found.reading:12,.0f}{read:8.1f}{found.writing:12,.1f}{wrote:8.1f}")


if __name__ == "__main__":
    main()
