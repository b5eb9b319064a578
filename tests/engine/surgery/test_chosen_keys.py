"""Keys by hash, by lot and by score; maps of low rank."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.model.decoder import fused_attention
from llm_holes.engine.surgery.chosen_keys import Buckets, LowRankMaps


def _heads(tokens: int = 24) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(5)
    q, k, v = (torch.randn(1, heads, tokens, 8, generator=rng) for heads in (4, 2, 2))
    return q, k, v


def test_lots_and_scores_leave_as_many_keys_as_the_hash_for_every_query() -> None:
    q, k, _ = _heads()
    k = k.repeat_interleave(2, dim=1)
    hashed, lot, score = (Buckets(4, 0, by).seen(q, k) for by in ("hash", "lot", "score"))
    assert hashed.sum(-1).tolist() == lot.sum(-1).tolist() == score.sum(-1).tolist()
    assert not torch.equal(hashed, lot)
    for seen in (hashed, lot, score):
        assert not seen.triu(1).any()
    for seen in (hashed, lot):
        assert seen[..., 0].all()
        assert seen.diagonal(dim1=-2, dim2=-1).all()


def test_what_points_the_same_way_falls_into_one_bucket() -> None:
    x = torch.randn(1, 1, 6, 8, generator=torch.Generator().manual_seed(1))
    assert Buckets(8, 0).seen(x, 3 * x).diagonal(dim1=-2, dim2=-1).all()
    opposite = torch.cat((x[:, :, :1], -x[:, :, :1], -x[:, :, :1]), 2)
    # the second and the third share a bucket, and neither that of the first
    assert Buckets(8, 0).seen(opposite[:, :, 1:], opposite).tolist() == [[[[True, True, False], [True, True, True]]]]


def test_best_keys_of_all_are_exact_attention() -> None:
    q, _, v = _heads()
    same = torch.ones_like(q)
    assert torch.allclose(Buckets(2, 0)(same, same[:, :2], v), fused_attention(same, same[:, :2], v), atol=1e-5)


@pytest.mark.parametrize("queries", [1, 7, 24])
def test_a_map_of_full_rank_is_exact_attention_for_the_last_queries(queries: int) -> None:
    q, k, v = _heads()
    exact = fused_attention(q, k, v)[:, :, -queries:]
    assert torch.allclose(LowRankMaps(24)(q[:, :, -queries:], k, v), exact, atol=1e-4)
