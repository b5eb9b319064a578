"""What the list of all tokens costs: the bytes of the output table beside all that one token needs, and its time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from torch import Tensor

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Cost
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.surgery.vectors import TABLE
from llm_holes.lessons.shared.counts import element_bytes
from llm_holes.lessons.shared.in_turn import in_turn
from llm_holes.lessons.shared.words import output_table

REPEATS = 15
KEY = "what it costs"


def table_cost(engine: Engine, state: Tensor) -> tuple[dict[str, Any], Bars, Cost]:
    """The list made from `state` [d_model] is timed in turn with whole steps of one token."""
    model = engine.model
    x, cache = state.reshape(1, 1, -1), ContiguousCache(model.config, REPEATS + 1)
    last_logits(model, [0], cache)
    works = {"list": lambda: model.unembed(x), "step": lambda: last_logits(model, [0], cache)}
    *_, times = in_turn(works, lambda work: REPEATS)
    parts, table = read_for_a_token(model.weights, model.config.tied_embeddings), output_table(model)
    table_bytes = table.numel() * element_bytes(engine)
    everything, layers = sum(parts.values()), parts["attention"] + parts["feed-forward"]
    share = times["list"].fastest / times["step"].fastest
    measured = {
        "table_share_of_step": share,
        "table_share_of_bytes": table.nbytes / everything,
        "table_bytes": table_bytes,
        "table_in_layers": table.nbytes * model.config.n_layers / layers,
    }
    shares = tuple(nbytes / everything for nbytes in parts.values())
    bars = Bars("what is read for one token", tuple(parts), shares, "share", range=(0, 1))
    line = cost(engine, "the list", times["list"].fastest, table_bytes, 2 * table.numel(), view=KEY)
    # the words and the line speak of the same steps, those that took turns with the list
    return measured, bars, msgspec.structs.replace(line, steps=share)


def read_for_a_token(weights: Mapping[str, Tensor], tied: bool) -> dict[str, int]:
    """The bytes of all weights by what they are for; of the table that is looked things up in, one row."""
    parts = {
        "a row looked up": weights[TABLE][0].nbytes,
        "attention": 0,
        "feed-forward": 0,
        "norms": 0,
        "all rows, at last": 0,
    }
    for name, weight in weights.items():
        if name == TABLE and not tied:
            continue
        parts[_part(name)] += weight.nbytes
    return parts


def _part(name: str) -> str:
    if name in (TABLE, "lm_head.weight"):
        return "all rows, at last"
    return "attention" if ".self_attn." in name else "feed-forward" if ".mlp." in name else "norms"
