"""Neurons: what they write, that each token is alone with them, and models without some."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from llm_holes.engine.interpret.logit_lens import residual_stream
from llm_holes.engine.interpret.neurons import NeuronsOff, StrongestOnly, columns, isolation, pushes, strengths
from llm_holes.engine.measure import fingerprint
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.ablations import LayerSkipped
from llm_holes.engine.surgery.operations import HeadOff, operated, reweighted

IDS = torch.randint(0, 97, (1, 12), generator=torch.Generator().manual_seed(7))
DOWN = "model.layers.1.mlp.down_proj.weight"


def test_a_neuron_off_equals_a_zeroed_column_of_down(tiny: Decoder) -> None:
    down = tiny.weights[DOWN].clone()
    down[:, [3, 40]] = 0
    off = operated(tiny, [NeuronsOff(1, (3, 40))]).forward(IDS).logits
    assert torch.allclose(off, reweighted(tiny, {DOWN: down}).forward(IDS).logits, atol=1e-5)
    assert not torch.allclose(off, tiny.forward(IDS).logits, atol=1e-4)


def test_the_strongest_only_keeps_so_many_in_every_layer_and_all_if_there_are_no_more(tiny: Decoder) -> None:
    taps = [tap(layer, "mlp.hook_post") for layer in range(3)]
    acts = operated(tiny, [StrongestOnly(5)]).forward(IDS, taps=taps).acts
    assert all(((acts[name] != 0).sum(-1) == 5).all() for name in taps)
    first = tiny.forward(IDS, taps=taps).acts[taps[0]]
    kept = acts[taps[0]] != 0
    assert abs(first[kept]).reshape(12, 5).min(-1).min() > 0
    assert (abs(first)[~kept].reshape(12, -1).max(-1) <= abs(first)[kept].reshape(12, 5).min(-1)).all()
    assert torch.equal(operated(tiny, [StrongestOnly(500)]).forward(IDS).logits, tiny.forward(IDS).logits)


def test_neurons_off_composes_with_other_surgery_and_leaves_nothing_behind(tiny: Decoder) -> None:
    hashed, logits = fingerprint(tiny.weights), tiny.forward(IDS).logits
    one, other = [NeuronsOff(0, (1, 2)), HeadOff(1, 3), StrongestOnly(20)], [LayerSkipped(2)]
    both = operated(tiny, [*one, *other]).forward(IDS).logits
    assert torch.equal(both, operated(operated(tiny, one), other).forward(IDS).logits)
    assert not torch.equal(both, operated(tiny, one).forward(IDS).logits)
    assert torch.equal(tiny.forward(IDS).logits, logits)
    assert fingerprint(tiny.weights) == hashed


def test_values_times_columns_are_what_the_ffn_adds(tiny: Decoder) -> None:
    acts = tiny.forward(IDS, taps=[tap(1, "mlp.hook_post"), tap(1, "hook_mlp_out")]).acts
    values, added = (torch.from_numpy(acts[tap(1, x)][0]) for x in ("mlp.hook_post", "hook_mlp_out"))
    assert torch.allclose(values @ columns(tiny, 1).T, added, atol=1e-5)
    one = values[4, 9] * columns(tiny, 1)[:, 9]
    assert float(strengths(tiny, 1, values)[4, 9]) == pytest.approx(float(one.norm()), rel=1e-5)


def test_what_a_neuron_pushes_is_what_it_adds_to_the_logits(tiny: Decoder) -> None:
    """In a model whose final norm divides by nothing, more of a neuron moves the logits by just that."""
    (push,) = pushes(tiny, 2, [9])
    stream = residual_stream(tiny, IDS[0].tolist())[-1]
    gain, table = tiny.weights["model.norm.weight"], tiny.weights["lm_head.weight"]
    moved = ((stream + 0.5 * columns(tiny, 2)[:, 9]) * gain - stream * gain) @ table.T
    assert torch.allclose(moved[0], 0.5 * push, atol=1e-4)


def test_each_token_is_alone_with_the_ffn(tiny: Decoder) -> None:
    stream = torch.randn(6, 48, generator=torch.Generator().manual_seed(1))
    assert isolation(tiny, 1, stream, 2) == 0
    assert isolation(tiny, 1, stream[:1], 0) == 0

    class Leaky(Decoder):
        def ffn(self, layer, x, at):  # type: ignore[no-untyped-def]
            return super().ffn(layer, x + x.mean(0), at)

    leaky = Leaky(**{name: getattr(replace(tiny), name) for name in ("config", "weights")})
    assert isolation(leaky, 1, stream, 2) > 1e-3
