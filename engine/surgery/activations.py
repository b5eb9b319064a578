"""The nonlinearity of an FFN, exchanged or taken away.

Sources: Nair & Hinton 2010 (ReLU), Hendrycks & Gimpel 2016 (GELU, SiLU), Shazeer 2020 (gated FFNs).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F

from llm_holes.engine.model.decoder import ActFn, Decoder

Activation = Literal["silu", "relu", "gelu", "identity", "one"]
ACTIVATIONS: dict[Activation, ActFn] = {
    "silu": F.silu,
    "relu": F.relu,
    "gelu": F.gelu,
    "identity": lambda gate: gate,
    "one": torch.ones_like,
}
"""`identity` leaves gate · up, a product and so still no linear map; `one` holds the gate open: down(up(x)) is left."""


@dataclass(frozen=True, slots=True)
class ActivationReplaced:
    """The FFNs of these layers use another function than SiLU."""

    layers: tuple[int, ...]
    activation: Activation

    def apply(self, model: Decoder) -> Decoder:
        own = dict.fromkeys(self.layers, ACTIVATIONS[self.activation])
        return replace(model, act_fns={**model.act_fns, **own})
