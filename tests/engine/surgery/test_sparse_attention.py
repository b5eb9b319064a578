"""Masks equal their rules written down pair by pair, and computing them in blocks equals masking everything."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.ablations import WindowOnly
from llm_holes.engine.surgery.operations import operated
from llm_holes.engine.surgery.sparse_attention import (
    MASK_KINDS,
    MaskKind,
    SparseAttention,
    SparseMask,
    block_sparse_attention,
    causal_pairs,
    pairs_computed,
    pairs_seen,
    plan,
)

IDS = torch.randint(0, 97, (2, 40), generator=torch.Generator().manual_seed(5))
EVERY = (0, 1, 2)


def by_hand(kind: MaskKind, size: int, sinks: int, query: int, key: int) -> bool:
    if key > query:
        return False
    if key < sinks or key == query:
        return True
    near = query - key < size
    landmarks = {n for n in range(query + 1) if (n + 1) % size == 0}
    return {
        "window": near,
        "strided": near or key in range(query, -1, -size),
        "block": math.floor(query / size) == math.floor(key / size),
        "global + local": near or bool({query, key} & landmarks),
    }[kind]


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.sampled_from(MASK_KINDS), st.integers(1, 20), st.integers(0, 5), st.integers(1, 40), st.integers(1, 16))
def test_a_mask_is_its_rule_pair_by_pair_and_so_is_its_plan(
    kind: MaskKind, size: int, sinks: int, keys: int, block: int
) -> None:
    mask = SparseMask(kind, size, sinks)
    expected = torch.tensor([[by_hand(kind, size, sinks, q, k) for k in range(keys)] for q in range(keys)])
    assert torch.equal(mask.sees(torch.arange(keys)[:, None], torch.arange(keys)), expected)
    queries = max(1, keys // 2)
    planned = torch.zeros(queries, keys, dtype=torch.bool)
    computed = 0
    for rows in plan(mask, queries, keys, block):
        planned[rows.start : rows.stop, rows.keys] = rows.seen
        computed += rows.seen.numel()
    assert torch.equal(planned, expected[-queries:])
    assert int(planned.sum()) <= computed <= queries * keys
    assert pairs_seen(mask, keys) == int(expected.sum()) <= causal_pairs(keys)


@pytest.mark.parametrize("kind", MASK_KINDS)
def test_computed_in_blocks_equals_everything_masked(kind: MaskKind) -> None:
    rng = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, heads, length, 16, generator=rng) for heads, length in ((6, 50), (2, 90), (2, 90)))
    mask = SparseMask(kind, 9, 2)
    seen = mask.sees(torch.arange(40, 90)[:, None], torch.arange(90))
    expected = F.scaled_dot_product_attention(q, k, v, seen, enable_gqa=True)
    assert (block_sparse_attention(q, k, v, mask) - expected).abs().max() < 1e-5


def test_far_blocks_of_a_window_are_never_computed_and_a_stride_leaves_none_empty() -> None:
    window, strided = SparseMask("window", 32), SparseMask("strided", 32)
    assert pairs_computed(window, 1024) < 0.15 * causal_pairs(1024)
    assert pairs_computed(strided, 1024) >= causal_pairs(1024)
    assert pairs_seen(strided, 1024) < 0.1 * causal_pairs(1024)


@pytest.mark.parametrize("kind", MASK_KINDS)
def test_a_mask_as_wide_as_the_text_is_full_attention(tiny: Decoder, kind: MaskKind) -> None:
    wide = operated(tiny, [SparseAttention(SparseMask(kind, 40), EVERY)])
    assert (wide.forward(IDS).logits - tiny.forward(IDS).logits).abs().max() < 1e-4


def test_a_window_equals_the_scores_masked(tiny: Decoder) -> None:
    blocks = operated(tiny, [SparseAttention(SparseMask("window", 5), EVERY)]).forward(IDS).logits
    assert (blocks - operated(tiny, [WindowOnly(5)]).forward(IDS).logits).abs().max() < 1e-4


@pytest.mark.parametrize("kind", MASK_KINDS)
def test_only_the_chosen_layers_change_and_a_cache_changes_nothing(tiny: Decoder, kind: MaskKind) -> None:
    intact = tiny.forward(IDS, taps=["blocks.1.hook_resid_pre"])
    sparse = operated(tiny, [SparseAttention(SparseMask(kind, 3, 1), (1,))])
    whole = sparse.forward(IDS, taps=["blocks.1.hook_resid_pre"])
    assert (whole.acts["blocks.1.hook_resid_pre"] == intact.acts["blocks.1.hook_resid_pre"]).all()
    assert (whole.logits - intact.logits).abs().max() > 1e-3
    cache = ContiguousCache(tiny.config, capacity=4, batch=2)
    parts = [sparse.forward(part, cache).logits for part in IDS.split([19, 1, 1, 19], dim=1)]
    assert (torch.cat(parts, 1) - whole.logits).abs().max() < 1e-4
    assert torch.equal(tiny.forward(IDS).logits, intact.logits)
