"""What a pattern saves in one layer's attention: pairs, and the time of computing all, of masking, and of skipping."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Heatmap, Table
from llm_holes.engine.measure import Timing, timed
from llm_holes.engine.model.decoder import fused_attention
from llm_holes.engine.numbers import duration, percent, plural
from llm_holes.engine.surgery.sparse_attention import (
    BLOCK,
    SparseMask,
    block_sparse_attention,
    causal_pairs,
    pairs_computed,
    pairs_seen,
)
from llm_holes.engine.work import Work

CELLS = 16
REPEATS = 5


def who_sees_whom(pattern: SparseMask, tokens: int, step: int) -> Heatmap:
    """Who sees whom, `step` tokens to a cell: the share of the cell's pairs that is left."""
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
    title = f"who sees whom, {plural(step, 'token')} to a cell"
    return Heatmap(
        title, Array.of(share), "token", "seen", names, names, "share left", cursor=(cells - 1, 0), range=(0, 1)
    )


def blocks(pattern: SparseMask, tokens: int) -> Heatmap:
    """The blocks in which the work is done; one without any share left is skipped."""
    return who_sees_whom(pattern, tokens, BLOCK * -(-tokens // (CELLS * BLOCK)))


def cells(pattern: SparseMask, tokens: int) -> Heatmap:
    return who_sees_whom(pattern, tokens, -(-tokens // CELLS))


def work(engine: Engine, pattern: SparseMask, tokens: int) -> tuple[Table, dict[str, Any]]:
    """Work and time of one layer's attention over this many tokens of noise: all of it, masked, in blocks; the three
    take turns, so that what else the machine does meets all of them. Raises Cancelled."""
    config = engine.model.config
    rng = torch.Generator().manual_seed(0)
    heads = (config.n_heads, config.n_kv_heads, config.n_kv_heads)
    q, k, v = (torch.randn(1, count, tokens, config.d_head, generator=rng) for count in heads)
    position = torch.arange(tokens)
    mask = pattern.sees(position[:, None], position)
    block_sparse_attention(q, k, v, pattern)  # plans the blocks, once
    ms: tuple[list[float], ...] = ([], [], [])
    for number in range(1, REPEATS + 1):
        engine.model.reached(Work("round", number, REPEATS))
        ms[0].append(timed(fused_attention, q, k, v)[1])
        ms[1].append(timed(F.scaled_dot_product_attention, q, k, v, mask, enable_gqa=True)[1])
        ms[2].append(timed(block_sparse_attention, q, k, v, pattern)[1])
    whole, masked, skipped = (Timing.of(times) for times in ms)
    pairs, seen, computed = causal_pairs(tokens), pairs_seen(pattern, tokens), pairs_computed(pattern, tokens)
    # a pair costs a dot product and its share of the weighted sum
    flops = 4 * config.d_head * config.n_heads
    ways: tuple[tuple[str, int, Timing | None], ...] = (
        ("full attention", pairs, whole),
        ("all, then masked", tokens**2, masked),
        (f"blocks of {BLOCK}", computed, skipped),
        ("the pairs alone", seen, None),
    )
    rows = tuple((name, n * flops / 1e6, percent(n / pairs), _spread(took)) for name, n, took in ways)
    title = f"one layer's attention over {plural(tokens, 'token')}"
    return Table(title, ("", "MFLOP", "of full", "fastest to slowest"), rows), {
        "cost_tokens": tokens,
        "density_cost_tokens": seen / pairs,
        "flops_ratio": computed / pairs,
        "flops_ratio_masked": tokens**2 / pairs,
        "ms_full": whole.fastest,
        "ms_masked": masked.fastest,
        "ms_blocks": skipped.fastest,
    }


def _spread(took: Timing | None) -> str:
    return f"{duration(took.fastest)} to {duration(took.slowest)}" if took else ""
