"""A weight at work: the numbers its row multiplies at each token of a text, and the products that are added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.interpret.logit_lens import tapped
from llm_holes.engine.interpret.weight_map import FINAL_NORM, TABLE, kind
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import weight
from llm_holes.engine.surgery.weights import WeightScaled, as_matrix

READS = {
    "self_attn.q_proj": "ln1.hook_normalized",
    "self_attn.k_proj": "ln1.hook_normalized",
    "self_attn.v_proj": "ln1.hook_normalized",
    "self_attn.o_proj": "attn.hook_z",
    "mlp.gate_proj": "ln2.hook_normalized",
    "mlp.up_proj": "ln2.hook_normalized",
    "mlp.down_proj": "mlp.hook_post",
    "input_layernorm": "hook_resid_pre",
    "post_attention_layernorm": "hook_resid_mid",
}
"""What the weights of each kind are multiplied with; a norm's, after its division."""


@dataclass(frozen=True)
class AtWork:
    """The row of a weight: its `weights` [n], what they are multiplied with at each token, `inputs` [pos, n], and which
    of them is the one meant. A norm's weight multiplies one number and nothing is added: n is 1."""

    weights: Tensor
    inputs: Tensor
    chosen: int

    @property
    def fires(self) -> Tensor:
        """What the weight itself is multiplied with at each token, [pos]."""
        return self.inputs[:, self.chosen]

    def products(self, position: int) -> Tensor:
        return self.weights * self.inputs[position]


def at_work(engine: Engine, ids: Sequence[int], place: WeightScaled) -> AtWork:
    """The weight at `place` on this text. Raises Cancelled."""
    name = kind(place.name).removesuffix(".weight")
    row = as_matrix(weight(engine.model, place.name))[place.row]
    inputs = _read(engine, ids, name, place)
    if "norm" in name:
        if engine.model.config.norm == "layer":
            inputs = inputs - inputs.mean(-1, keepdim=True)
        one = slice(place.column, place.column + 1)
        scale = (inputs.square().mean(-1, keepdim=True) + engine.model.config.norm_eps).rsqrt()
        return AtWork(row[one], (inputs * scale)[:, one], 0)
    return AtWork(row, inputs, place.column)


def _read(engine: Engine, ids: Sequence[int], name: str, place: WeightScaled) -> Tensor:
    """What weights of this kind read at each token, [pos, n]."""
    model, config = engine.model, engine.model.config
    if name == TABLE and not config.tied_embeddings:
        # a row is looked up: as if multiplied with 1 where its token stands and with 0 elsewhere
        here = torch.tensor([float(token == place.row) for token in ids])
        return here[:, None].expand(-1, config.d_model)
    if name in (TABLE, FINAL_NORM):
        stream = _tapped(engine, ids, config.n_layers - 1, "hook_resid_post")
        return model.norm(stream, FINAL_NORM) if name == TABLE else stream
    return _tapped(engine, ids, int(place.name.split(".")[2]), READS[name])


def _tapped(engine: Engine, ids: Sequence[int], layer: int, point: str) -> Tensor:
    name = tap(layer, point)
    return torch.as_tensor(tapped(engine.model.up_to(layer), ids, {name})[name][0]).flatten(1)
