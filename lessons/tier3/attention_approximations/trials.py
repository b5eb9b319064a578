"""How good and how fast another attention is, measured on one layer's queries, keys and values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.measure import Timing, timed
from llm_holes.engine.model.decoder import AttentionFn, Decoder, fused_attention
from llm_holes.engine.work import Work

REPEATS = 5
PATIENCE_MS = 200.0
"""After a length at which one run took longer than this, no longer one is tried."""
SHORTEST = 64
CUTS = 32
Heads = tuple[Tensor, Tensor, Tensor]
"""q [1, head, pos, d_head], k and v [1, kv_head, pos, d_head] of one layer, q and k after RoPE."""


@dataclass(frozen=True, slots=True)
class Times:
    tokens: tuple[int, ...]
    exact: tuple[Timing, ...]
    approximate: tuple[Timing, ...]

    @property
    def crossover(self) -> int:
        """The shortest length from which on the approximation usually beat the fastest exact run; 0 if there is none
        among those tried."""
        found = 0
        for tokens, exact, other in zip(self.tokens, self.exact, self.approximate, strict=True):
            found = (found or tokens) if other.median < exact.fastest else 0
        return found


def relative_error(attention_fn: AttentionFn, heads: Sequence[Heads]) -> float:
    """Length of the difference to exact attention by the length of that, over all layers given."""
    wrong = right = 0.0
    for q, k, v in heads:
        exact = fused_attention(q, k, v)
        wrong += float((attention_fn(q, k, v) - exact).square().sum())
        right += float(exact.square().sum())
    return math.sqrt(wrong / right)


def future_leak(attention_fn: AttentionFn, heads: Heads) -> float:
    """The most that anything before a place changes when all keys and values from there on are others, as a share of
    the largest number there is."""
    q, k, v = heads
    z, most = attention_fn(q, k, v), 0.0
    for cut in range(1, min(q.shape[2], CUTS)):
        others = (torch.cat((x[:, :, :cut], -x[:, :, cut:]), 2) for x in (k, v))
        most = max(most, float((attention_fn(q, *others) - z)[:, :, :cut].abs().max()))
    return most / float(z.abs().max())


def race(model: Decoder, attention_fn: AttentionFn, longest: int) -> Times:
    """One layer's attention over noise, exact and approximate, at doubling lengths. Raises Cancelled in between."""
    config, rng = model.config, torch.Generator().manual_seed(0)
    tokens, exact, other = [], [], []
    length = min(SHORTEST, longest)
    while length <= longest:
        counts = (config.n_heads, config.n_kv_heads, config.n_kv_heads)
        q, k, v = (torch.randn(1, count, length, config.d_head, generator=rng) for count in counts)
        tokens.append(length)
        # they take turns, so that what else the machine does meets both
        runs: list[list[float]] = []
        for number in range(1, REPEATS + 1):
            model.reached(Work("round", number, REPEATS))
            runs.append([timed(fn, q, k, v)[1] for fn in (fused_attention, attention_fn)])
        exact.append(Timing.of([ms for ms, _ in runs]))
        other.append(Timing.of([ms for _, ms in runs]))
        if other[-1].fastest > PATIENCE_MS:
            break
        length *= 2
    return Times(tuple(tokens), tuple(exact), tuple(other))
