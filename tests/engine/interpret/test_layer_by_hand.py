"""A layer computed again part by part is what the model computed, on every family; activations can be exchanged."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from llm_holes.engine.interpret.layer_by_hand import layer_by_hand
from llm_holes.engine.model.config import Config
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.activations import ActivationReplaced
from llm_holes.engine.surgery.operations import QuantizedWeights, operated
from tests.support.tiny_models import VARIANTS, digest, ours, reference

IDS = [5, 17, 3, 88, 41, 2, 60, 9]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_part_is_what_the_model_had(variant: str) -> None:
    model = ours(reference(variant))
    parts = layer_by_hand(model, IDS, 1, 5)
    assert max(part.difference for part in parts) < 1e-4
    changed_before_added = model.config.update_scale != 1 or "post_mlp_layernorm" in model.config.norms
    untapped = {"scores", "softmax", *(("attention update", "FFN update") if changed_before_added else ())}
    untapped |= {"nonlinearity"} if model.config.router else set()
    assert {part.name for part in parts if not part.point} == untapped
    last = model.forward(torch.tensor([IDS]), taps=[tap(1, "hook_resid_post")]).acts[tap(1, "hook_resid_post")]
    assert torch.allclose(parts[-1].result, torch.from_numpy(last[0, 5]), atol=1e-4)


def flops_of_layer(config: Config, positions: int) -> int:
    """Of the matrices and of attention over so many positions, for one token, without the parts' small change."""
    q, kv = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
    return 2 * config.d_model * (2 * q + 2 * kv + 3 * config.d_mlp) + 4 * q * positions


@pytest.mark.parametrize("position", [0, 7])
def test_shapes_and_flops_are_those_of_the_config(tiny: Decoder, position: int) -> None:
    parts = {part.name: part for part in layer_by_hand(tiny, IDS, 2, position)}
    c = tiny.config
    assert parts["query"].shape == (c.n_heads, c.d_head)
    assert parts["scores"].shape == (c.n_heads, position + 1)
    assert parts["nonlinearity"].shape == (c.d_mlp,)
    assert parts["FFN update"].shape == (c.d_model,)
    assert torch.allclose(parts["softmax"].result.sum(-1), torch.ones(c.n_heads))
    total = sum(part.flops for part in layer_by_hand(tiny, IDS, 2, position))
    assert flops_of_layer(c, position + 1) < total < 1.2 * flops_of_layer(c, position + 1)
    matrices = sum(w.nbytes for n, w in tiny.weights.items() if n.startswith("model.layers.2."))
    cache = 2 * 4 * (position + 1) * c.n_kv_heads * c.d_head
    assert sum(part.bytes for part in layer_by_hand(tiny, IDS, 2, position)) == matrices + cache


def test_rounded_weights_and_other_activations_are_followed(tiny: Decoder) -> None:
    changed = operated(tiny, [QuantizedWeights(3), ActivationReplaced((1,), "gelu")])
    assert max(part.difference for part in layer_by_hand(changed, IDS, 1, 7)) < 1e-4


def test_an_activation_is_exchanged_in_its_layers_only_and_undone(tiny: Decoder) -> None:
    ids, hashed = torch.tensor([IDS]), digest(tiny)
    before = tiny.forward(ids).logits
    names = [tap(layer, f"mlp.hook_{point}") for layer in (0, 1) for point in ("pre", "pre_linear", "post")]
    acts = operated(tiny, [ActivationReplaced((1,), "relu")]).forward(ids, taps=names).acts
    gate, up, post = (torch.from_numpy(acts[name]) for name in names[3:])
    assert torch.equal(post, F.relu(gate) * up)
    gate, up, post = (torch.from_numpy(acts[name]) for name in names[:3])
    assert torch.equal(post, F.silu(gate) * up)
    assert torch.equal(operated(tiny, [ActivationReplaced((0, 1, 2), "silu")]).forward(ids).logits, before)
    assert digest(tiny) == hashed
    assert torch.equal(tiny.forward(ids).logits, before)


def test_with_the_gate_held_open_two_matrices_are_one(tiny: Decoder) -> None:
    opened = operated(tiny, [ActivationReplaced((1,), "one")])
    x = torch.randn(4, tiny.config.d_model, generator=torch.Generator().manual_seed(0))
    one = tiny.weights["model.layers.1.mlp.down_proj.weight"] @ tiny.weights["model.layers.1.mlp.up_proj.weight"]
    assert torch.allclose(opened.ffn(1, x, lambda name, y: y), x @ one.T, atol=1e-4)
    assert not torch.allclose(tiny.ffn(1, x, lambda name, y: y), x @ one.T, atol=0.1)
