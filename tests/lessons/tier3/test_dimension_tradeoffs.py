"""What the lesson on width claims: low rank is exact algebra, one layer forgives it, the table does not."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.low_rank import (
    Directions,
    LowRank,
    break_even_rank,
    crowding,
    directions,
    factored_parameters,
)
from llm_holes.engine.surgery.operations import operated
from llm_holes.lessons.tier3.dimension_tradeoffs.widths import costs
from tests.support.lessons import measured
from tests.support.tiny_models import digest

DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.mark.parametrize("shape", [(40, 24), (24, 40)])
def test_the_reduced_matrix_is_that_of_an_svd(shape: tuple[int, int]) -> None:
    w = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, s, v = torch.linalg.svd(w, full_matrices=False)
    own = Directions.of(w)
    assert torch.allclose(own.projected(w, 7), (u[:, :7] * s[:7]) @ v[:7], atol=1e-4)
    assert own.kept(7) == pytest.approx(float((s[:7] ** 2).sum() / (s**2).sum()), rel=1e-5)
    assert torch.equal(own.projected(w, 24), w)


def test_it_is_surgery_that_is_undone(tiny: Decoder) -> None:
    ids, hashed = torch.arange(9)[None], digest(tiny)
    before = tiny.forward(ids).logits
    changed = operated(tiny, [LowRank(3, directions(tiny, [DOWN]))])
    assert torch.linalg.matrix_rank(changed.weights[DOWN], atol=1e-3) == 3
    assert not torch.equal(changed.forward(ids).logits, before)
    assert digest(tiny) == hashed
    assert torch.equal(tiny.forward(ids).logits, before)


def test_two_factors_pay_below_half_the_width() -> None:
    assert break_even_rank((64, 64)) == 32
    assert factored_parameters((64, 64), 31) < 64 * 64 == factored_parameters((64, 64), 32)


def test_wider_spaces_are_less_crowded() -> None:
    means = [crowding(d, 200, 0)[0] for d in (8, 32, 128)]
    assert means == sorted(means, reverse=True)
    assert means[2] == pytest.approx((2 / (3.14159 * 128)) ** 0.5, rel=0.05)


def test_published_models_have_the_size_in_their_name() -> None:
    sizes = {name: total / 1e9 for name, _, _, _, total in costs()}
    expected = {"SmolLM2-1.7B": 1.7, "Llama-2-7B": 6.7, "Llama-3-8B": 8.0, "Llama-3-70B": 70.6, "Llama-3.1-405B": 405.8}
    for name, billions in expected.items():
        assert sizes[name] == pytest.approx(billions, rel=0.01)


def test_one_layer_forgives_and_the_table_does_not(engine: Engine) -> None:
    layer = measured(engine, "dimension-tradeoffs", "half of one layer")
    table = measured(engine, "dimension-tradeoffs", "the table, with nearly everything")
    assert layer["kl_nats"] < 0.2
    assert table["energy_kept"] > 0.95
    assert table["kl_nats"] > 1
    assert table["perplexity"] > 5 * table["perplexity_intact"]
    assert layer["undo_bit_identical"] is table["undo_bit_identical"] is True
