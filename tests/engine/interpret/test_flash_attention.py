"""Attention in tiles equals attention at once."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.interpret.flash_attention import tiled_attention
from llm_holes.engine.model.decoder import fused_attention


@pytest.mark.parametrize("tile", [1, 3, 7, 16, 40])
def test_tiles_of_any_size_give_the_plain_result(tile: int) -> None:
    rng = torch.Generator().manual_seed(tile)
    q, k, v = (4 * torch.randn(5, 17, 8, generator=rng) for _ in range(3))
    plain = fused_attention(q[None], k[None], v[None])[0]
    assert torch.allclose(tiled_attention(q, k, v, tile), plain, atol=1e-5)


def test_tiles_stay_finite_where_plain_exponentials_would_overflow() -> None:
    q = k = torch.full((1, 4, 2), 50.0)
    v = torch.arange(8.0).view(1, 4, 2)
    assert torch.allclose(tiled_attention(q, k, v, 2)[0, 3], v[0].mean(0))
