"""Approximations of attention: causal, equal to exact attention where they must be, nearer to it with more terms."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import AttentionFn, Decoder, fused_attention
from llm_holes.engine.surgery.linear_attention import EluFeatures, NoFeatures, RandomFeatures
from llm_holes.engine.surgery.operations import AttentionReplaced, operated
from llm_holes.engine.surgery.pooled_attention import Landmarks, TopKeys, WholeTextLandmarks
from tests.support.tiny_models import digest

IDS = torch.randint(0, 97, (2, 40), generator=torch.Generator().manual_seed(5))
EVERY = (0, 1, 2)
CAUSAL: list[AttentionFn] = [EluFeatures(), NoFeatures(), RandomFeatures(32), Landmarks(7), TopKeys(3)]


def noise(length: int = 150, size: float = 0.7) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(2)
    q, k, v = (torch.randn(2, heads, length, 16, generator=rng) for heads in (6, 2, 2))
    return size * q, size * k, v


def error(attention_fn: AttentionFn, size: float = 0.7) -> float:
    q, k, v = noise(size=size)
    exact = fused_attention(q, k, v)
    return float((attention_fn(q, k, v) - exact).norm() / exact.norm())


def weighted_by_hand(q: Tensor, k: Tensor, v: Tensor, weights: Tensor) -> Tensor:
    """Σ w v / Σ w with w [batch, head, query, key] of the past and the present only."""
    w = weights.tril()
    return (w / w.sum(-1, keepdim=True)) @ v.repeat_interleave(3, dim=1)


@pytest.mark.parametrize("attention_fn", CAUSAL, ids=str)
def test_a_later_token_changes_nothing_before_it(tiny: Decoder, attention_fn: AttentionFn) -> None:
    model = operated(tiny, [AttentionReplaced(attention_fn, EVERY)])
    changed = IDS.clone()
    changed[:, 25] = (changed[:, 25] + 1) % 97
    difference = (model.forward(IDS).logits - model.forward(changed).logits).abs().amax((0, 2))
    assert difference[:25].max() < 1e-5
    assert (difference[25:] > 1e-4).all() or difference[25] > 1e-4


def test_landmarks_of_the_whole_text_leak_the_future(tiny: Decoder) -> None:
    model = operated(tiny, [AttentionReplaced(WholeTextLandmarks(4), (0,))])
    changed = IDS.clone()
    changed[:, 29] = (changed[:, 29] + 1) % 97
    difference = (model.forward(IDS).logits - model.forward(changed).logits).abs().amax((0, 2))
    assert difference[:20].max() < 1e-5
    assert difference[20:29].min() > 1e-4


@pytest.mark.parametrize("attention_fn", CAUSAL, ids=str)
def test_a_cache_changes_nothing_and_undo_is_exact(tiny: Decoder, attention_fn: AttentionFn) -> None:
    before, intact = digest(tiny), tiny.forward(IDS).logits
    model = operated(tiny, [AttentionReplaced(attention_fn, EVERY)])
    whole = model.forward(IDS).logits
    cache = ContiguousCache(tiny.config, capacity=4, batch=2)
    parts = [model.forward(part, cache).logits for part in IDS.split([9, 1, 1, 29], dim=1)]
    assert (torch.cat(parts, 1) - whole).abs().max() < 1e-3
    assert not torch.allclose(whole, intact, atol=1e-3)
    assert torch.equal(tiny.forward(IDS).logits, intact)
    assert digest(tiny) == before


def test_the_running_sum_is_the_sum_written_out() -> None:
    q, k, v = noise()
    keys = k.repeat_interleave(3, dim=1)
    elu = (F.elu(q) + 1) @ (F.elu(keys) + 1).transpose(-1, -2)
    assert torch.allclose(EluFeatures()(q, k, v), weighted_by_hand(q, k, v, elu), atol=1e-5)
    assert torch.allclose(NoFeatures()(q, k, v), weighted_by_hand(q, k, v, torch.ones_like(elu)), atol=1e-5)


def test_more_random_features_come_nearer_to_softmax() -> None:
    few, some, many = (error(RandomFeatures(count), size=0.5) for count in (8, 128, 4096))
    assert few > 2 * some > 4 * many
    assert many < 0.1


def test_random_features_survive_long_keys() -> None:
    assert math.isfinite(error(RandomFeatures(64), size=20.0))


def test_a_landmark_for_every_key_and_a_block_for_all_are_exact() -> None:
    assert error(Landmarks(1)) < 1e-5
    assert error(Landmarks(150)) < 1e-5
    assert error(WholeTextLandmarks(150)) < 1e-5
    assert error(Landmarks(5)) > 0.05


def test_landmarks_are_attention_over_means_and_the_own_block() -> None:
    q, k, v = noise(30)
    z = Landmarks(10)(q, k, v)[:, :, 24]
    keys, values = (
        torch.cat((x[:, :, :20].unflatten(2, (2, 10)).mean(3), x[:, :, 20:25]), 2).repeat_interleave(3, dim=1)
        for x in (k, v)
    )
    scores = (q[:, :, 24, None] * keys).sum(-1) / 4 + torch.tensor([math.log(10)] * 2 + [0.0] * 5)
    assert torch.allclose(z, (scores.softmax(-1)[..., None] * values).sum(2), atol=1e-5)


def test_the_best_keys_are_those_with_the_highest_scores() -> None:
    errors = [error(TopKeys(count), size=2.0) for count in (1, 8, 150)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-5
    q, k, v = noise()
    best = (q @ k.repeat_interleave(3, dim=1).transpose(-1, -2)).masked_fill(
        torch.ones(150, 150).triu(1).bool(), -torch.inf
    )
    expected = v.repeat_interleave(3, dim=1).gather(2, best.argmax(-1)[..., None].expand(-1, -1, -1, 16))
    assert torch.allclose(TopKeys(1)(q, k, v), expected, atol=1e-5)
