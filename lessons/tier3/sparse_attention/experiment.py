"""Lets each token see only what a pattern leaves: what that does to reading, to a hidden fact, and to the work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Curve, Frame, Heatmap, Table, series
from llm_holes.engine.measure import Timing, kl_nats, perplexity, repeated
from llm_holes.engine.model.decoder import fused_attention
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.sparse_attention import (
    BLOCK,
    SparseAttention,
    SparseMask,
    block_sparse_attention,
    causal_pairs,
    pairs_computed,
    pairs_seen,
)
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier3.sparse_attention.needle import Found, Needle, hide, look

CELLS = 32
SMOOTH = 8
REPEATS = 3


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    config = engine.model.config
    pattern = SparseMask(p["pattern"], p["window"], p["sinks"])
    layers = chosen(p["layers"], p["layer"], config.n_layers)
    sparse = engine.operated([SparseAttention(pattern, layers)])
    ids = passage_ids(engine, p["tokens"])
    needle = hide(engine, p["text"], p["depth"], p["haystack"])
    mask = _mask(pattern, len(ids))
    density = pairs_seen(pattern, len(ids)) / causal_pairs(len(ids))
    report = Report()
    report.measure(tokens=len(ids), density=density, layers_changed=len(layers))
    report.show(who_sees_whom=mask)
    report.say(f"{percent(density)} of the pairs are left. Reading the passage both ways.")
    yield report.frame(0.1)

    full, cut = engine.logits(ids), sparse.logits(ids)
    targets = torch.tensor(ids)
    before, after = perplexity(full, targets), perplexity(cut, targets)
    kl = kl_nats(full, cut)
    report.measure(perplexity_full=before, perplexity_sparse=after, perplexity_ratio=after / before, kl_nats=kl)
    report.show(who_sees_whom=mask, surprise=_surprise(full, cut, targets))
    report.say(f"{percent(density)} of the pairs: perplexity {figure(before)} becomes {figure(after)}.")
    yield report.frame(0.5)

    seen, missed = look(engine, needle), look(sparse, needle)
    report.measure(
        needle_p_full=seen.p,
        needle_found_full=seen.found,
        needle_p=missed.p,
        needle_found=missed.found,
        needle_distance=needle.distance,
    )
    report.show_also(the_hidden_fact=_needle(engine, needle, seen, missed))
    outcome = "found" if missed.found else "lost"
    report.say_also(f"The hidden fact is {outcome} ({percent(missed.p)}, full {percent(seen.p)}).")
    yield report.frame(0.8)

    work, costs = _work(engine, pattern, min(p["cost_tokens"], config.n_ctx))
    report.measure(costs)
    report.show_also(work=work)
    yield report.frame()


def _mask(pattern: SparseMask, tokens: int) -> Heatmap:
    """Who sees whom, several tokens to a cell where there are many: the share of the cell's pairs that is left."""
    step = -(-tokens // CELLS)
    cells = -(-tokens // step)
    key = torch.arange(tokens)
    share = np.full((cells, cells), np.nan)
    for row in range(cells):
        query = key[row * step : (row + 1) * step, None]
        seen, causal = pattern.sees(query, key), key <= query
        for column in range(row + 1):
            place = slice(column * step, (column + 1) * step)
            share[row, column] = float(seen[:, place].sum() / causal[:, place].sum())
    names = tuple(str(cell * step) for cell in range(cells))
    title = "who sees whom" if step == 1 else f"who sees whom ({plural(step, 'token')} to a cell)"
    return Heatmap(title, Array.of(share), "token", "seen", names, names, unit="share left")


def _surprise(full: Tensor, cut: Tensor, targets: Tensor) -> Curve:
    """The surprise at each next token, in nats, averaged over a few tokens."""

    def smooth(logits: Tensor) -> list[float]:
        losses = F.cross_entropy(logits[:-1], targets[1:], reduction="none")
        return [float(losses[max(0, i - SMOOTH + 1) : i + 1].mean()) for i in range(len(losses))]

    x = range(1, len(targets))
    lines = (series("full attention", x, smooth(full)), series("this pattern", x, smooth(cut)))
    title = f"surprise while reading (mean of {plural(SMOOTH, 'token')})"
    return Curve(title, lines, x_label="token", y_label="nats")


def _needle(engine: Engine, needle: Needle, seen: Found, missed: Found) -> Table:
    answer = spelt("".join(engine.token_text(i) for i in needle.answer))
    title = f"a fact hidden at token {needle.at} of {len(needle.ids)}: is {answer} still known {needle.distance} later?"
    rows = (
        ("full attention", seen.p, "yes" if seen.found else "no"),
        ("this pattern", missed.p, "yes" if missed.found else "no"),
    )
    return Table(title, ("", "P(answer)", "would say it"), rows)


def _work(engine: Engine, pattern: SparseMask, tokens: int) -> tuple[Table, dict[str, Any]]:
    """Work and time of one layer's attention over this many tokens of noise: all of it, masked, in blocks."""
    config = engine.model.config
    rng = torch.Generator().manual_seed(0)
    heads = (config.n_heads, config.n_kv_heads, config.n_kv_heads)
    q, k, v = (torch.randn(1, count, tokens, config.d_head, generator=rng) for count in heads)
    position = torch.arange(tokens)
    mask = pattern.sees(position[:, None], position)
    _, whole = repeated(REPEATS, fused_attention, q, k, v)
    _, masked = repeated(REPEATS, F.scaled_dot_product_attention, q, k, v, mask, enable_gqa=True)
    _, blocks = repeated(REPEATS, block_sparse_attention, q, k, v, pattern)
    pairs, seen, computed = causal_pairs(tokens), pairs_seen(pattern, tokens), pairs_computed(pattern, tokens)
    ways: tuple[tuple[str, int, Timing | None], ...] = (
        ("full attention", pairs, whole),
        ("all, then masked", tokens**2, masked),
        (f"blocks of {BLOCK}", computed, blocks),
        ("the pairs alone", seen, None),
    )
    # a pair costs a dot product and its share of the weighted sum
    flops = 4 * config.d_head * config.n_heads
    rows = tuple((name, n * flops / 1e6, n / pairs, str(ms) if ms else "") for name, n, ms in ways)
    title = f"one layer's attention over {plural(tokens, 'token')}"
    return Table(title, ("", "MFLOP", "× full", "time, with spread"), rows), {
        "cost_tokens": tokens,
        "density_cost_tokens": seen / pairs,
        "flops_ratio": computed / pairs,
        "flops_ratio_masked": tokens**2 / pairs,
        "ms_full": whole.median,
        "ms_masked": masked.median,
        "ms_blocks": blocks.median,
    }
