"""The model with one kind of part exchanged or taken away, and how much of what it knows is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars
from llm_holes.engine.measure import changed_share, kl_nats, loss_nats
from llm_holes.engine.numbers import plural
from llm_holes.engine.surgery.ablations import AttentionOff, FfnOff, NormRemoved, ResidualRemoved
from llm_holes.engine.surgery.activations import Activation, ActivationReplaced
from llm_holes.engine.surgery.operations import Operation

BENDS: dict[str, Activation] = {
    "GELU for SiLU": "gelu",
    "ReLU for SiLU": "relu",
    "no bend": "identity",
    "no gate": "one",
}
PARTS: dict[str, Callable[[int], Operation]] = {
    "no norm": NormRemoved,
    "no residual": ResidualRemoved,
    "no attention": AttentionOff,
    "no FFN": FfnOff,
}
CHANGES = (*BENDS, *PARTS)
PUBLISHED = {
    "GELU for SiLU": "kl_gelu",
    "ReLU for SiLU": "kl_relu",
    "no bend": "kl_without_nonlinearity",
    "no gate": "kl_without_gate",
    "no norm": "kl_without_norm",
    "no residual": "kl_without_residual",
    "no attention": "kl_without_attention",
    "no FFN": "kl_without_ffn",
}


WORST = 40
"""Where the axis of losses ends: room for a model that is sure and wrong."""


class Left(NamedTuple):
    """What a change does on a text: mean KL and loss, in nats, and the share of next words that come out differently.
    Infinite, and all of them, where numbers grew until they were none."""

    kl: float
    loss: float
    changed: float


def operations(change: str, layers: Sequence[int]) -> list[Operation]:
    if change in PARTS:
        return [PARTS[change](layer) for layer in layers]
    return [ActivationReplaced(tuple(layers), BENDS[change])]


def left(engine: Engine, change: str, layers: Sequence[int], ids: Sequence[int], intact: Tensor) -> Left:
    logits = engine.operated(operations(change, layers)).logits(ids)
    loss = loss_nats(logits, torch.tensor(ids))
    if not isfinite(loss):
        return Left(float("inf"), float("inf"), 1.0)
    return Left(kl_nats(intact, logits), loss, changed_share(intact, logits))


def outcome(result: Left, nothing: float) -> str:
    """How the changed model stands beside one that knows nothing, whose loss is `nothing`."""
    if not isfinite(result.loss):
        return "overflow"
    return "worse" if result.loss >= nothing else "better"


def losses(found: Mapping[str, Left], intact: float, nothing: float, chosen: str, layers: int) -> Bars:
    rows = {"as it is": intact, **{name: result.loss for name, result in found.items()}, "knowing nothing": nothing}
    return Bars(
        f"how much the next word surprises it, changed in {plural(layers, 'layer')}",
        tuple(rows),
        tuple(rows.values()),
        unit="loss",
        marked=list(rows).index(chosen) if chosen in rows else None,
        range=(0, WORST),
    )
