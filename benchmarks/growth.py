"""How a step of decoding grows with its context.

`python benchmarks/growth.py [--model NAME|DIR|FILE.gguf] [--steps 12]` prints the least processor time of a step after
128 … 8,191 tokens (as far as the model's context goes), the line through them, and the context at which attention takes
as long as all else. Keys and values are arbitrary numbers: what they are takes no time.
"""

from __future__ import annotations

import argparse

import peers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--steps", type=int, default=12)
    asked = parser.parse_args()
    peers.quiet(1)

    import numpy as np
    import torch

    from llm_holes.engine.checkpoint import store
    from llm_holes.engine.engine import Engine
    from llm_holes.engine.generation.generate import last_logits
    from llm_holes.engine.model.cache import ContiguousCache

    model = Engine.load(store.locate(asked.model, lambda status: None), 1).model
    config = model.config
    lengths = [n for n in (128, 512, 1024, 2048, 4096, 8191) if n < config.n_ctx] or [config.n_ctx - 1]
    found: dict[int, float] = {}
    for length in lengths:
        cache = ContiguousCache(config, length + 1)
        for layer in range(config.n_layers):
            cache.append(layer, *torch.randn(2, 1, config.n_kv_heads, length, config.d_head))
        times = []
        for _ in range(asked.steps):
            cache.length = length
            watch = peers.Stopwatch()
            with watch.running():
                last_logits(model, [1], cache)
            times.append(watch.cpu)
        found[length] = min(times) * 1e3
        print(f"{length:6,} tokens {peers.spread(times)} ms")
    if len(found) > 1:
        slope, base = np.polyfit(list(found), list(found.values()), 1)
        print(
            f"{base:.1f} ms + {slope * 1e3:.2f} µs a token of context; as much again from {base / slope:,.0f} tokens on"
        )


if __name__ == "__main__":
    main()
