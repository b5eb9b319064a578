"""An FFN small enough to follow by hand, run by the very code that runs the real one.

The toy is a decoder whose one layer has a handful of weights. Its `up` is 1 for every neuron (no weight, a bias of 1),
so that of the real FFN, down(bend(gate(x)) · up(x)), there is left: narrow(bend(wide(x))).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.model.decoder import ActFn, Decoder

BENDS: dict[str, ActFn] = {
    "ReLU": F.relu,
    "SiLU": F.silu,
    "norm": lambda x: F.rms_norm(x, x.shape[-1:]),
    "none": lambda x: x,
}
INPUTS, SPREAD, SEED = 1000, 2.0, 0
"""The inputs on which one matrix is compared with the toy: how many, of what size, and what draws them."""


class Stages(NamedTuple):
    """What the toy makes of inputs [..., in]: after the first matrix and after the bend [..., hidden], and what it adds
    [..., in]."""

    before_bend: Tensor
    after_bend: Tensor
    added: Tensor


class OneMatrix(NamedTuple):
    """The single matrix [out, in] that comes nearest to a toy, the share of the toy's output that it misses, and its
    largest error over the inputs tried."""

    matrix: Tensor
    missed: float
    largest: float


def toy(model: Decoder, wide: Tensor, narrow: Tensor, bend: str) -> Decoder:
    """A decoder of the model's kind with one FFN: `wide` [hidden, in], the bend, `narrow` [out, hidden]."""
    mlp = "model.layers.0.mlp."
    weights = {
        f"{mlp}gate_proj.weight": wide,
        f"{mlp}up_proj.weight": torch.zeros_like(wide),
        f"{mlp}up_proj.bias": torch.ones(len(wide)),
        f"{mlp}down_proj.weight": narrow,
    }
    config = msgspec.structs.replace(model.config, gated=True, router=None)
    return replace(model, config=config, weights=weights, packed={}, hooks={}, act_fns={0: BENDS[bend]})


def stages(model: Decoder, x: Tensor) -> Stages:
    """Inputs x [..., in] through the toy's FFN."""
    seen: dict[str, Tensor] = {}

    def at(name: str, value: Tensor) -> Tensor:
        seen[name.rpartition(".")[2]] = value
        return value

    added = model.ffn(0, x, at)
    return Stages(seen["hook_pre"], seen["hook_post"], added)


def best_matrix(model: Decoder, width: int) -> OneMatrix:
    """The matrix nearest to the toy's FFN, by least squares over seeded inputs of `width` numbers."""
    x = SPREAD * torch.randn(INPUTS, width, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
    y = stages(model, x.float()).added.double()
    matrix = torch.linalg.lstsq(x, y).solution
    error = x @ matrix - y
    return OneMatrix(matrix.T.float(), float(error.norm() / y.norm().clamp_min(1e-12)), float(error.abs().max()))
