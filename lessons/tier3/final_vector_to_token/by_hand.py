"""The final vector times each row of the output table, written anew."""

from __future__ import annotations

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder, capped
from llm_holes.lessons.shared.words import output_table

ROWS_AT_ONCE = 16384


def recomputed(model: Decoder, state: Tensor) -> Tensor:
    """Logits [vocabulary] from the stream [d_model] after the last layer, in double precision: the norm, then one
    product after the other with each row of the output table."""
    config, x = model.config, state.double()
    if config.norm == "layer":
        x = x - x.mean()
    x = x / (x.pow(2).mean() + config.norm_eps).sqrt() * model.weights["model.norm.weight"].double()
    if config.norm == "layer":
        x = x + model.weights["model.norm.bias"].double()
    table = output_table(model)
    starts = range(0, len(table), ROWS_AT_ONCE)
    parts = [(table[start : start + ROWS_AT_ONCE].double() * x).sum(-1) for start in starts]
    return capped(torch.cat(parts) * config.logit_scale, config.logit_softcap).float()


def entropy(p: Tensor) -> float:
    """How undecided a distribution is, in nats; e to this power is how many equal chances it is worth."""
    return float(torch.special.entr(p.double()).sum())
