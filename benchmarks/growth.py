"""How the work grows: with the context, with the layers, and with how many learners there are at once.

`python benchmarks/growth.py [--model NAME|DIR|FILE.gguf] [--rounds 5] [--only context layers learners]` prints, fitted
and drawn, the least processor time of: a token that is written, 256 tokens that are read, a look through the lens, a
sweep that leaves out each layer, the first frame of a lesson; and how many tokens a second several processes write.
Layers: the model's first ones alone. Keys and values of a long context are arbitrary numbers: what they are takes no
time.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import learners
import peers
from engines import Running

CONTEXTS, POSITIONS = (128, 512, 1024, 2048, 4096, 7936), (8, 16, 32, 64)
READ = 256
"""Tokens that are read at once, as a long prompt is."""
SWEEP = 8
FRAMES = (64, 128, 256, 512)
LEARNERS, SECONDS = (1, 2, 3, 4), 4.0
WIDTH = 100

Times = dict[float, float]
"""Milliseconds by size."""


def least(work: Callable[[], object], rounds: int) -> float:
    """The least processor time, in milliseconds."""
    times = []
    for _ in range(rounds):
        watch = peers.Stopwatch()
        with watch.running():
            work()
        times.append(watch.cpu * 1e3)
    return min(times)


def fitted(times: Mapping[float, float], degree: int) -> tuple[str, Callable[[float], float]]:
    """The polynomial through them in words, with how far it is from the farthest, and itself. It weighs errors by
    share, so that the small sizes count as much as the large."""
    import numpy as np

    x, y = np.array(list(times)), np.array(list(times.values()))
    found = np.polynomial.Polynomial.fit(x, y, degree, w=1 / y).convert()
    terms = [f"{c:.3g}{unit}" for c, unit in zip(found.coef, (" ms", " n", " n²"), strict=False)]
    off = float(abs(found(x) / y - 1).max())
    return f"{' + '.join(terms)} (within {off:.0%})".replace("+ -", "- "), found


def told(what: str, times: Mapping[float, float], degree: int = 1) -> Callable[[float], float]:
    """A line of the table; the fit."""
    text, fit = fitted(times, degree)
    sizes = ", ".join(f"{n:,.0f}: {ms:,.1f}" if ms < 100 else f"{n:,.0f}: {ms:,.0f}" for n, ms in times.items())
    print(f"| {what} | {sizes} | {text} |", flush=True)
    return fit


def drawn(title: str, lines: Mapping[str, Mapping[float, float]], x: str, y: str) -> None:
    from llm_holes.engine.frames import Curve, series
    from llm_holes.tui.draw.as_text import view_text

    curves = tuple(series(name, list(of), list(of.values())) for name, of in lines.items())
    print(f"\n```\n{view_text(Curve(title, curves, x_label=x, y_label=y, y_range=(0, 0)), WIDTH)}\n```\n", flush=True)


class Work:
    """What is measured on a decoder."""

    def __init__(self, model: Any, rounds: int) -> None:
        self.model, self.rounds = model, rounds

    def passes(self, count: int, contexts: Sequence[int]) -> Times:
        """`count` tokens in one pass, after so many others."""
        import torch

        from llm_holes.engine.generation.generate import last_logits
        from llm_holes.engine.model.cache import ContiguousCache

        config, found = self.model.config, Times()
        for length in (n for n in contexts if n + count <= config.n_ctx):
            cache = ContiguousCache(config, length + count)
            for layer in range(config.n_layers):
                cache.append(layer, *torch.randn(2, 1, config.n_kv_heads, length, config.d_head))

            def work(cache: Any = cache, length: int = length) -> None:
                cache.length = length
                last_logits(self.model, [1] * count, cache)

            found[length] = least(work, self.rounds if count > 1 else 3 * self.rounds)
        return found

    def lens(self, positions: int) -> float:
        """A look at all states of so many positions; the pass that made them is not in it."""
        from llm_holes.engine.interpret.logit_lens import lens, residual_stream

        stream = residual_stream(self.model, [1] * positions)
        return least(lambda: lens(self.model, stream, 8), 2)

    def sweep(self, positions: int) -> float:
        """What leaving out each layer does to a text of so many tokens."""
        from llm_holes.engine.interpret.ablation_sweep import without_each_layer

        return least(lambda: list(without_each_layer(self.model, [1] * positions)), 2)


async def first_frames(model: str | None, contexts: Sequence[int]) -> Times:
    """Processor time of an engine until the first frame of a lesson that reads so long a text before it."""
    engine = await Running(model, 1).start()
    found = {n: await engine.first_frame("kv-cache", {"context_tokens": n}) * 1e3 for n in contexts}
    await engine.close()
    return found


def with_context(work: Work, model: str | None) -> None:
    print("| with the context | n: ms | fitted |\n|---|---|---|")
    write, read = work.passes(1, CONTEXTS), work.passes(READ, CONTEXTS)
    fits = {
        "write": told("a token written after n others", write),
        "read": told(f"{READ} tokens read after n others", read),
    }
    told("the lens, over n positions", {n: work.lens(n) for n in POSITIONS})
    told("the sweep, over a text of n tokens", {n: work.sweep(n) for n in POSITIONS})
    told("the first frame of “KV cache” after n tokens", asyncio.run(first_frames(model, FRAMES)), 2)
    for name, fit in fits.items():
        base = fit(0)
        print(f"\n{name}: attention takes as long as all else from {base / (fit(1) - base):,.0f} tokens of context on")
    rates = {"written": write, "read": {n: ms / READ for n, ms in read.items()}}
    drawn("ms a token, by the context before it", rates, "tokens of context", "ms")


def with_layers(work: Work) -> None:
    depth = work.model.config.n_layers
    cuts = sorted({max(depth * n // 6, 1) for n in range(1, 7)})
    cut = {n: Work(work.model.up_to(n - 1), work.rounds) for n in cuts}
    found: dict[str, Times] = {
        "a token written": {n: one.passes(1, [128])[128] for n, one in cut.items()},
        f"{READ} tokens read": {n: one.passes(READ, [128])[128] for n, one in cut.items()},
        f"the lens, {SWEEP} positions": {n: one.lens(SWEEP) for n, one in cut.items()},
        f"the sweep, {SWEEP} tokens": {n: one.sweep(SWEEP) for n, one in cut.items()},
    }
    print("| with the layers | n: ms | fitted |\n|---|---|---|")
    for name, times in found.items():
        told(name, times, 2 if "sweep" in name else 1)
    outermost = {name: found[name] for name in ("a token written", f"the sweep, {SWEEP} tokens")}
    shares = {name: {n: ms / times[depth] for n, ms in times.items()} for name, times in outermost.items()}
    drawn(f"share of what all {depth} layers take", shares, "layers", "share")


def with_learners(model: str | None) -> None:
    engines = [learners.Learner(model) for _ in range(max(LEARNERS))]
    found = {count: learners.at_once(engines[:count], "write", SECONDS) for count in LEARNERS}
    for engine in engines:
        engine.leave()
    print("| learners at once | tokens/s of each | together | beside one |\n|---|---|---|---|")
    alone = sum(found[1])
    for count, rates in found.items():
        each = f"{min(rates):.1f} to {max(rates):.1f}" if count > 1 else f"{alone:.1f}"
        print(f"| {count} | {each} | {sum(rates):.1f} | {sum(rates) / alone:.2f} × |")
    lines = {
        "together": {n: sum(rates) for n, rates in found.items()},
        "each": {n: sum(rates) / n for n, rates in found.items()},
    }
    drawn("tokens a second, by how many write at once", lines, "learners", "tokens/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=["context", "layers", "learners"])
    asked = parser.parse_args()
    peers.quiet(1)

    from llm_holes.engine.checkpoint import store
    from llm_holes.engine.engine import Engine

    work = Work(Engine.load(store.locate(asked.model, lambda status: None), 1).model, asked.rounds)
    if "context" in asked.only:
        with_context(work, asked.model)
    if "layers" in asked.only:
        with_layers(work)
    if "learners" in asked.only:
        with_learners(asked.model)


if __name__ == "__main__":
    main()
