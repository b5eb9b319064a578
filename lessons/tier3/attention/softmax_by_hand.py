"""Softmax on a few scores that the learner types, by the code that the model attends with."""

from __future__ import annotations

import math
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars
from llm_holes.engine.model.decoder import fused_attention
from llm_holes.engine.numbers import exact
from llm_holes.lessons.shared.typed import numbers


def weights(scores: torch.Tensor) -> list[float]:
    """The weight that a query gives to each key when their dot products are `scores` [key] and there is one number to a
    head, so that nothing is divided: each value is a place of its own, so what comes home are the weights."""
    count = len(scores)
    keys, values = scores.float().view(1, 1, count, 1), torch.eye(count)[None, None]
    found: list[float] = fused_attention(torch.ones(1, 1, 1, 1), keys, values).flatten().tolist()
    return found


def by_hand(engine: Engine, typed: str) -> tuple[Bars, dict[str, Any]]:
    """The scores as shares, and below each the same without the division by √d_head. Raises InputError."""
    scores, times = numbers(typed, "scores"), math.sqrt(engine.model.config.d_head)
    divided, undivided = weights(scores), weights(scores * times)
    labels = [(f"score {exact(score)}", f"× {exact(round(times, 2))}") for score in scores.tolist()]
    drawn = Bars(
        f"scores as shares, and below each undivided: × √{engine.model.config.d_head}",
        tuple(label for pair in labels for label in pair),
        tuple(share for pair in zip(divided, undivided, strict=True) for share in pair),
        "weight",
        range=(0.0, 1.0),
    )
    return drawn, {"by_hand_best_share": max(divided), "by_hand_best_share_undivided": max(undivided)}
