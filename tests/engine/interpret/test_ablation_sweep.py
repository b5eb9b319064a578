"""What is lost without each part, against forward passes made one by one."""

from __future__ import annotations

import itertools

import pytest
import torch

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.interpret.ablation_sweep import neighbours_swapped, without_each_head, without_each_layer
from llm_holes.engine.interpret.logit_lens import residual_stream
from llm_holes.engine.measure import changed_share, fingerprint, kl_nats
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.ablations import LayerSkipped, LayersSwapped
from llm_holes.engine.surgery.operations import HeadOff, Operation, operated

IDS = torch.randint(0, 97, (20,), generator=torch.Generator().manual_seed(5)).tolist()


def kl_of(model: Decoder, operation: Operation) -> float:
    ids = torch.tensor([IDS])
    return kl_nats(model.forward(ids).logits[0], operated(model, [operation]).forward(ids).logits[0])


def share_of(model: Decoder, operation: Operation, ids: list[int] = IDS) -> float:
    passage = torch.tensor([ids])
    return changed_share(model.forward(passage).logits[0], operated(model, [operation]).forward(passage).logits[0])


def test_leaving_out_each_layer_equals_a_pass_without_it(tiny: Decoder) -> None:
    harms = [harm for group in without_each_layer(tiny, IDS) for harm in group]
    assert [harm.kl for harm in harms] == pytest.approx(
        [kl_of(tiny, LayerSkipped(layer)) for layer in range(3)], rel=1e-3
    )
    assert list(map(len, without_each_layer(tiny, IDS * 3))) == [2, 1]


def test_the_share_that_changes_is_that_of_two_passes(tiny: Decoder) -> None:
    harms = [harm for group in without_each_layer(tiny, IDS) for harm in group]
    assert [harm.changed for harm in harms] == pytest.approx(
        [share_of(tiny, LayerSkipped(layer)) for layer in range(3)], rel=1e-3
    )


@pytest.mark.parametrize("repeated", [1, 3])
def test_exchanging_neighbours_equals_a_pass_with_them_exchanged(tiny: Decoder, repeated: int) -> None:
    ids = IDS * repeated
    harms = [harm for group in neighbours_swapped(tiny, ids) for harm in group]
    expected = [share_of(tiny, LayersSwapped(layer, layer + 1), ids) for layer in range(2)]
    assert [harm.changed for harm in harms] == pytest.approx(expected, rel=1e-3)


def test_leaving_out_each_head_equals_a_pass_without_it(tiny: Decoder) -> None:
    found = [kls for group in without_each_head(tiny, IDS, [0, 2]) for kls in group]
    expected = [[kl_of(tiny, HeadOff(layer, head)) for head in range(6)] for layer in (0, 2)]
    assert torch.allclose(torch.tensor(found), torch.tensor(expected), rtol=1e-2, atol=1e-5)
    assert torch.tensor(found).max() > 1e-3
    assert list(map(len, without_each_head(tiny, IDS[:7], [0, 1, 2]))) == [3]


def test_a_skipped_layer_adds_nothing_and_does_not_zero_the_stream(tiny: Decoder) -> None:
    taps = [tap(1, "hook_resid_pre"), tap(1, "hook_resid_post")]
    acts = operated(tiny, [LayerSkipped(1)]).forward(torch.tensor([IDS]), taps=taps).acts
    assert (acts[taps[0]] == acts[taps[1]]).all()
    assert abs(acts[taps[1]]).max() > 0.1


def test_going_on_from_a_layer_gives_the_final_stream_with_the_hooks_of_the_layers_above(tiny: Decoder) -> None:
    stream = residual_stream(tiny, IDS)
    assert torch.allclose(tiny.run_layers(stream[1][None], 1)[0], stream[-1], atol=1e-5)
    changed = operated(tiny, [HeadOff(2, 3)])
    assert torch.allclose(changed.run_layers(stream[1][None], 1)[0], residual_stream(changed, IDS)[-1], atol=1e-5)


@pytest.mark.parametrize("polls", [0, 4, 9])
def test_cancelled_in_the_middle_nothing_is_left_behind(tiny: Decoder, polls: int) -> None:
    hashed, logits = fingerprint(tiny.weights), tiny.forward(torch.tensor([IDS])).logits
    asked = itertools.count()
    with pytest.raises(Cancelled):
        list(without_each_head(tiny.cancellable(lambda: next(asked) >= polls), IDS, range(3)))
    assert fingerprint(tiny.weights) == hashed
    assert torch.equal(tiny.forward(torch.tensor([IDS])).logits, logits)
