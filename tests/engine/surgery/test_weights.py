"""Each change of weights equals the same done by hand, and the parameter tree counts every weight once."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.interpret.weight_map import full_name, kind, totals, tree
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery import weights
from llm_holes.engine.surgery.operations import Operation, PackedWeights, operated, weight
from llm_holes.engine.surgery.weights import (
    MatricesNoised,
    MatricesPruned,
    MatricesShuffled,
    MatricesZeroed,
    WeightScaled,
)
from tests.support.tiny_models import digest

IDS = torch.randint(0, 97, (1, 12), generator=torch.Generator().manual_seed(5))
DOWN, NORM = full_name("mlp.down_proj", 1), full_name("input_layernorm", 2)
ALL: list[Operation] = [
    WeightScaled(DOWN, 3, 5, -1.0),
    WeightScaled(NORM, 0, 7, 0.0),
    MatricesNoised((DOWN, NORM), 0.1, 3),
    MatricesZeroed((DOWN,)),
    MatricesShuffled((DOWN,), 6),
    MatricesPruned((DOWN,), 0.3, smallest=True),
    MatricesPruned((DOWN,), 0.3, smallest=False, seed=4),
]


def test_one_weight_is_scaled_and_no_other(tiny: Decoder) -> None:
    changed = operated(tiny, [WeightScaled(DOWN, 3, 5, -1.0), WeightScaled(NORM, 0, 7, 0.0)])
    difference = changed.weights[DOWN] - tiny.weights[DOWN]
    assert difference.nonzero().tolist() == [[3, 5]]
    assert difference[3, 5] == -2 * tiny.weights[DOWN][3, 5]
    assert (changed.weights[NORM] != tiny.weights[NORM]).nonzero().tolist() == [[7]]
    assert changed.weights[NORM].shape == tiny.weights[NORM].shape


def test_noise_has_the_size_it_says(tiny: Decoder) -> None:
    noise = operated(tiny, [MatricesNoised((DOWN,), 0.5, 1)]).weights[DOWN] - tiny.weights[DOWN]
    assert noise.std() == pytest.approx(0.5 * float(tiny.weights[DOWN].std()), rel=0.05)


@pytest.mark.parametrize("band", [2**20, 100])
def test_shuffled_matrices_hold_the_same_numbers_elsewhere(
    tiny: Decoder, monkeypatch: pytest.MonkeyPatch, band: int
) -> None:
    monkeypatch.setattr(weights, "BAND", band)
    w, shuffled = tiny.weights[DOWN], operated(tiny, [MatricesShuffled((DOWN,), 1)]).weights[DOWN]
    assert torch.equal(shuffled.flatten().sort().values, w.flatten().sort().values)
    assert int((shuffled == w).sum()) < w.numel() / 10
    assert not torch.equal(shuffled, operated(tiny, [MatricesShuffled((DOWN,), 2)]).weights[DOWN])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_pruning_takes_the_smallest_or_as_many_at_random(tiny: Decoder, share: float) -> None:
    w = tiny.weights[DOWN]
    count = int(share * w.numel())
    by_size = operated(tiny, [MatricesPruned((DOWN,), share, smallest=True)]).weights[DOWN]
    assert int((by_size == 0).sum()) == count
    if 0 < count < w.numel():
        assert w[by_size == 0].abs().max() < by_size[by_size != 0].abs().min()
    at_random = operated(tiny, [MatricesPruned((DOWN,), share, smallest=False, seed=2)]).weights[DOWN]
    assert int((at_random == 0).sum()) == pytest.approx(count, abs=2)
    kept = at_random != 0
    assert torch.equal(at_random[kept], w[kept])


@pytest.mark.parametrize("operation", ALL, ids=repr)
def test_they_change_the_logits_compose_and_are_undone(tiny: Decoder, operation: Operation) -> None:
    before, hashed = tiny.forward(IDS).logits, digest(tiny)
    changed = operated(tiny, [operation])
    assert not torch.equal(changed.forward(IDS).logits, before)
    again = operated(changed, [WeightScaled(DOWN, 0, 0, 5.0)])
    assert again.weights[DOWN][0, 0] == 5 * changed.weights[DOWN][0, 0]
    assert digest(tiny) == hashed
    assert torch.equal(tiny.forward(IDS).logits, before)


def test_a_packed_matrix_is_changed_as_it_is_multiplied(tiny: Decoder) -> None:
    packed = operated(tiny, [PackedWeights(8)])
    changed = operated(packed, [WeightScaled(DOWN, 3, 5, 0.0)])
    expected = weight(packed, DOWN).clone()
    expected[3, 5] = 0
    assert torch.equal(weight(changed, DOWN), expected)


def test_the_tree_counts_every_weight_once(tiny: Decoder) -> None:
    kinds = tree(tiny.weights)
    everything = sum(w.numel() for w in tiny.weights.values())
    assert sum(k.parameters for k in kinds) == sum(totals(tiny.weights).values()) == everything
    assert [k.count for k in kinds if k.name == "mlp.down_proj.weight"] == [3]
    by_hand = 3 * (2 * 48 * 6 * 16 + 2 * 48 * 2 * 16)
    assert totals(tiny.weights)["attention"] == by_hand
    assert all(
        full_name(kind(name).removesuffix(".weight"), 1) == name for name in tiny.weights if ".layers.1." in name
    )
