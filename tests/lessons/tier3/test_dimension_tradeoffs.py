"""What the lesson on width claims: rare features share a plane, low rank is exact algebra, energy is not importance."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Curve
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.low_rank import (
    Directions,
    LowRank,
    ThinTables,
    break_even_rank,
    crowding,
    directions,
    factored_parameters,
)
from llm_holes.engine.surgery.operations import matrices, operated
from llm_holes.lessons.tier3.dimension_tradeoffs.angles import pair_angles
from llm_holes.lessons.tier3.dimension_tradeoffs.toy import measured_arrows, trained
from llm_holes.lessons.tier3.dimension_tradeoffs.widths import costs
from tests.support.lessons import frames, measured
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


def test_tables_without_their_weak_directions_need_not_be_multiplied(tiny: Decoder) -> None:
    found, ids = directions(tiny, matrices(tiny, "embedding")), torch.arange(9)[None]
    one, other = (operated(tiny, [kind(5, found)]).forward(ids).logits for kind in (LowRank, ThinTables))
    assert torch.allclose(one, other, atol=1e-4)
    assert not torch.allclose(other, tiny.forward(ids).logits, atol=1e-3)


@pytest.mark.parametrize(("presence", "kept", "angle"), [(1.0, 2, 90), (0.3, 4, 90), (0.05, 5, 72)])
def test_the_rarer_the_features_the_more_share_two_numbers(presence: float, kept: int, angle: float) -> None:
    for seed in (0, 3):
        *_, squeezed = trained(5, presence, seed, lambda: False)
        found = measured_arrows(squeezed.best)
        assert found["features_kept"] == kept
        assert found["features_lost"] == 5 - kept
        assert found["smallest_angle"] == pytest.approx(angle, abs=5)
        assert sum(found["feature_angles"]) == pytest.approx(360, abs=0.5)


def test_training_is_seeded_and_can_be_stopped() -> None:
    first, second = (list(trained(5, 0.05, 7, lambda: False))[-1] for _ in range(2))
    assert torch.equal(first.arrows, second.arrows)
    with pytest.raises(Cancelled):
        next(trained(5, 0.05, 7, lambda: True))


def test_wide_spaces_have_nearly_right_angles_only() -> None:
    plane, wide = (pair_angles(d, 300, 0) for d in (2, 576))
    assert float(((plane - 90).abs() < 10).float().mean()) == pytest.approx(20 / 180, abs=0.02)
    assert float(((wide - 90).abs() < 10).float().mean()) > 0.99


def test_half_of_the_tables_energy_is_one_row_that_decides_nothing(engine: Engine) -> None:
    m = measured(engine, "dimension-tradeoffs")
    assert m["passage_tokens"] == 128
    assert m["perplexity_intact"] == pytest.approx(36.65, rel=0.01)
    assert 0.4 < m["energy_in_offset"] < m["energy_in_shared_direction"] < 0.55
    assert m["words_changed_share_without_offset"] < 1e-5
    assert m["final_in_weakest_share"] > 0.5
    assert 1 - m["energy_kept"] < 0.05 < 0.5 < m["words_changed_share_without_weakest"] < m["words_changed_share"]


def test_the_curve_has_more_than_three_ranks_and_ends_with_the_whole_matrix(engine: Engine) -> None:
    views = {view.key: view for view in frames(engine, "dimension-tradeoffs")[-1].views}
    curve = views["fewer directions"]
    assert isinstance(curve, Curve)
    energy, words = curve.series
    assert len(energy.x) > 4
    assert energy.x[-1] == 576
    assert energy.y[-1] == words.y[-1] == 1
    assert all(kept > same for kept, same in zip(energy.y[:-1], words.y[:-1], strict=True))


def test_four_times_the_weights_for_twice_the_width(engine: Engine) -> None:
    views = {view.key: view for view in frames(engine, "dimension-tradeoffs")[-1].views}
    bars = views["published models"]
    assert isinstance(bars, Bars)
    millions = dict(zip(bars.labels, bars.values, strict=True))
    narrow, wide = millions["4,096 wide: Llama-3-8B"], millions["8,192 wide: Llama-3-70B"]
    assert wide / narrow == pytest.approx(4, rel=0.05)


def test_one_layer_forgives_and_the_table_does_not(engine: Engine) -> None:
    layer = measured(engine, "dimension-tradeoffs", "half of one layer")
    table = measured(engine, "dimension-tradeoffs")
    four = measured(engine, "dimension-tradeoffs", "four directions fewer")
    assert layer["kl_nats"] < 0.2
    assert layer["words_changed_share"] < 0.2
    assert table["energy_kept"] > 0.95
    assert table["kl_nats"] > 1
    assert table["perplexity"] > 5 * table["perplexity_intact"]
    assert four["energy_kept"] > 0.999
    assert 0.2 < four["words_changed_share"] < 0.6
    assert layer["undo_bit_identical"] is table["undo_bit_identical"] is True


@pytest.mark.parametrize("text", ["a", "🙂", "Der Kapitän öffnete die Tür und", "def f(x):"])
def test_any_text_will_do(engine: Engine, text: str) -> None:
    m = measured(
        engine,
        "dimension-tradeoffs",
        text=text,
        rank=1,
        features=2,
        vectors=2,
        part="one layer's attention",
        kl_tokens=16,
    )
    assert 0 < m["final_in_weakest_share"] < 1
    assert m["features_kept"] == 2
