"""What no map of weights shows: the division of scores, the places, the mask. Each is changed alone, on the passage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars
from llm_holes.engine.measure import changed_share, kl_nats, loss_nats
from llm_holes.engine.numbers import count
from llm_holes.engine.surgery.attention_parts import FutureVisible, PlacesMoved, PlacesUntold, ScoresUndivided
from llm_holes.engine.surgery.operations import Operation
from llm_holes.lessons.shared.passage import passage_ids

TOKENS = 128
FURTHER = 7000


def without_each(engine: Engine, layer: int | None) -> dict[str, Any]:
    """The surprise at each next word, as the model is and with one part changed, in one layer or (None) in all."""
    ids = passage_ids(engine, TOKENS)
    text, intact = torch.tensor(ids), engine.logits(ids)

    def changed(operation: Operation) -> torch.Tensor:
        return engine.operated([operation]).logits(ids)

    moved = changed(PlacesMoved(FURTHER, layer))
    losses = {
        "intact": loss_nats(intact, text),
        "without_scale": loss_nats(changed(ScoresUndivided(layer)), text),
        "without_rope": loss_nats(changed(PlacesUntold(layer)), text),
        "places_moved": loss_nats(moved, text),
        "future_visible": loss_nats(changed(FutureVisible(layer)), text),
    }
    hesitates = {f"perplexity_{name}": float(torch.tensor(loss).exp()) for name, loss in losses.items()}
    return {
        **{f"loss_{name}": loss for name, loss in losses.items()},
        **hesitates,
        "perplexity_ratio": hesitates["perplexity_future_visible"] / hesitates["perplexity_intact"],
        "kl_positions_shifted": kl_nats(intact, moved),
        "changed_share_positions_shifted": changed_share(intact, moved),
    }


def bars(m: Mapping[str, Any], layer: int | None) -> Bars:
    """The surprise with each part changed; from 0, which would be to know every word before it comes."""
    labels = {
        "intact": "as it is",
        "without_scale": "scores not divided",
        "without_rope": "no places",
        "places_moved": f"places + {count(FURTHER)}",
        "future_visible": "the future visible",
    }
    where = "every layer" if layer is None else f"layer {layer} alone"
    return Bars(
        f"log of the words it hesitates among, changed in {where}",
        tuple(labels.values()),
        tuple(m[f"loss_{name}"] for name in labels),
        "nats",
        marked=0,
        range=(0.0, 8.0),
    )
