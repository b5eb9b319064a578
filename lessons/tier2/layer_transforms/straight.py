"""Whether the FFN of a real layer is one matrix, and how its output grows with its input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, series
from llm_holes.engine.surgery.ablations import weight_name
from llm_holes.engine.surgery.activations import ACTIVATIONS, Activation, ActivationReplaced
from llm_holes.engine.surgery.operations import weight


def straightness(engine: Engine, layer: int, x: Tensor) -> dict[str, Any]:
    """Whether the FFN's two matrices are one, with the gate held open, and what doubling its input x [d_model] does."""
    up, down = (weight(engine.model, weight_name(layer, name)) for name in ("mlp.up_proj", "mlp.down_proj"))
    two, one = down @ (up @ x), (down @ up) @ x

    def doubled(activation: Activation) -> float:
        model = ActivationReplaced((layer,), activation).apply(engine.model)
        once, twice = (model.ffn(layer, y, lambda name, value: value) for y in (x, 2 * x))
        return float(twice.norm() / once.norm())

    return {
        "two_matrices_one_relative_diff": float((two - one).norm() / two.norm()),
        "ffn_differs_from_one_matrix": float((engine.model.ffn(layer, x, lambda n, v: v) - one).norm() / one.norm()),
        "doubled_silu": doubled("silu"),
        "doubled_without_nonlinearity": doubled("identity"),
        "doubled_without_gate": doubled("one"),
    }


def bends() -> Curve:
    """The curves that models bend with, over one another."""
    x = torch.linspace(-4, 4, 65)
    names: dict[str, Activation] = {"SiLU": "silu", "GELU": "gelu", "ReLU": "relu"}
    lines = tuple(series(name, x.tolist(), ACTIVATIONS[act](x).tolist()) for name, act in names.items())
    return Curve("three bends", lines, x_label="a number goes in", y_label="comes out")
