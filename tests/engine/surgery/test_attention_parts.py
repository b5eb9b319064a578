"""Attention without its silent parts equals the same done by hand, and one pattern for all is every head's."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
import torch

from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Decoder, fused_attention
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.model.rope import Rope
from llm_holes.engine.surgery.attention_parts import (
    FutureVisible,
    PatternShared,
    PlacesMoved,
    PlacesUntold,
    ScoresUndivided,
    unmasked,
)
from llm_holes.engine.surgery.operations import Operation, operated

IDS = torch.randint(0, 97, (1, 20), generator=torch.Generator().manual_seed(5))


def logits(model: Decoder, *operations: Operation, ids: torch.Tensor = IDS) -> torch.Tensor:
    return operated(model, operations).forward(ids).logits[0]


def test_without_places_is_a_model_whose_angles_are_all_0(tiny: Decoder) -> None:
    still = msgspec.structs.replace(tiny.config, ropes=(Rope(0),) * 3)
    assert torch.allclose(logits(tiny, PlacesUntold()), logits(replace(tiny, config=still)), atol=1e-5)
    assert not torch.allclose(logits(tiny, PlacesUntold()), logits(tiny), atol=1e-3)


def test_without_places_a_cache_changes_nothing(tiny: Decoder) -> None:
    model, cache = operated(tiny, [PlacesUntold()]), ContiguousCache(tiny.config, 20)
    model.forward(IDS[:, :12], cache)
    assert torch.allclose(model.forward(IDS[:, 12:], cache).logits[0], logits(model)[12:], atol=1e-5)


def test_all_places_moved_alike_change_nothing_and_in_one_layer_neither(tiny: Decoder) -> None:
    for layer in (None, 1):
        assert torch.allclose(logits(tiny, PlacesMoved(50, layer)), logits(tiny), atol=1e-4)


def test_scores_not_divided_give_sharper_patterns(tiny: Decoder) -> None:
    point = tap(0, "attn.hook_attn_scores")
    plain, large = (m.forward(IDS, taps=[point]).acts[point] for m in (tiny, operated(tiny, [ScoresUndivided()])))
    past = plain > -1e30
    assert large[past] == pytest.approx(plain[past] * tiny.config.d_head**0.5, rel=1e-5)


def test_with_the_future_visible_the_first_token_knows_the_last(tiny: Decoder) -> None:
    other = IDS.clone()
    other[0, -1] = (other[0, -1] + 1) % 97
    assert torch.equal(logits(tiny)[0], logits(tiny, ids=other)[0])
    assert not torch.allclose(logits(tiny, FutureVisible())[0], logits(tiny, FutureVisible(), ids=other)[0], atol=1e-5)


def test_one_pattern_for_all_is_the_mean_of_the_layers_heads_there_only(tiny: Decoder) -> None:
    points = [tap(layer, "attn.hook_pattern") for layer in (0, 1)]
    intact = tiny.forward(IDS, taps=points).acts
    shared = operated(tiny, [PatternShared((0,))]).forward(IDS, taps=points).acts
    assert torch.allclose(
        torch.from_numpy(shared[points[0]]), torch.from_numpy(intact[points[0]].mean(1, keepdims=True)), atol=1e-6
    )
    assert abs(shared[points[1]] - shared[points[1]].mean(1, keepdims=True)).max() > 1e-4


def test_without_a_mask_the_last_token_sees_what_it_saw_and_the_first_sees_more() -> None:
    q, k, v = (torch.randn(1, heads, 24, 8, generator=torch.Generator().manual_seed(5)) for heads in (4, 2, 2))
    free, exact = unmasked(q, k, v), fused_attention(q, k, v)
    assert torch.allclose(free[:, :, -1], exact[:, :, -1], atol=1e-5)
    assert not torch.allclose(free[:, :, 0], exact[:, :, 0], atol=1e-2)
