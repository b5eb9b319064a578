"""The formula of what attention costs gives what is counted while it runs."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.interpret.attention_flops import AttentionCost, cost_of, counted
from llm_holes.engine.model.decoder import Decoder


@pytest.mark.parametrize("tokens", [1, 19])
def test_the_formula_is_what_is_counted(tiny: Decoder, tokens: int) -> None:
    x = torch.randn(tokens, 48, generator=torch.Generator().manual_seed(0))
    cost = cost_of(tiny, tokens)
    assert counted(tiny, 1, x) == (cost.flops, cost.score_bytes)
    assert cost.score_bytes == 6 * tokens**2 * 4


def test_heads_of_one_width_cost_the_same_but_for_their_scores() -> None:
    many, one = (AttentionCost(100, 576, heads, 576 // heads, 576) for heads in (9, 1))
    assert many.flops == one.flops
    assert many.score_bytes == 9 * one.score_bytes
