"""The heads' choice taken away: all heads of a layer look where they look on average, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars
from llm_holes.engine.interpret.logit_lens import residual_stream
from llm_holes.engine.measure import changed_share, kl_nats, loss_nats, perplexity
from llm_holes.engine.surgery.attention_parts import PatternShared
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import passage_ids

PLACES = ("only one", "upper half", "lower half", "all")
TOKENS = 128


def sharing(engine: Engine, place: str, layer: int) -> PatternShared:
    return PatternShared(chosen(place, layer, engine.model.config.n_layers))


def in_every_place(engine: Engine, layer: int, chosen_place: str) -> Iterator[dict[str, dict[str, Any]]]:
    """For the places tried so far, what sharing there does to the passage; the chosen one is tried too."""
    ids = passage_ids(engine, TOKENS)
    text, stream = torch.tensor(ids), residual_stream(engine.model, ids)
    intact = engine.model.unembed(stream[-1])
    found: dict[str, dict[str, Any]] = {}
    for place in dict.fromkeys((*PLACES, chosen_place)):
        shared = sharing(engine, place, layer)
        # below the first layer that shares nothing changes
        first = min(shared.layers)
        model = engine.operated([shared]).model
        changed = model.unembed(model.run_layers(stream[first][None], first)[0])
        found[place] = {
            "loss_intact": loss_nats(intact, text),
            "perplexity_intact": perplexity(intact, text),
            "loss_shared_pattern": loss_nats(changed, text),
            "perplexity_shared_pattern": perplexity(changed, text),
            "kl_shared_pattern": kl_nats(intact, changed),
            "changed_share_shared_pattern": changed_share(intact, changed),
        }
        yield found


def bars(found: Mapping[str, Mapping[str, Any]], place: str, layer: int) -> Bars:
    """Of the places tried, how many of the next words become others."""
    named = {"only one": f"layer {layer} alone", "all": "all layers"}
    return Bars(
        "next words that become others with one look for all heads",
        tuple(named.get(name, name) for name in found),
        tuple(m["changed_share_shared_pattern"] for m in found.values()),
        "share",
        marked=list(found).index(place) if place in found else None,
        range=(0.0, 1.0),
    )
