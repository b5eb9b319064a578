"""What can be done to a weight or to many: the settings of the lesson as operations, and their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.interpret.weight_map import full_name, kind, layer_of
from llm_holes.engine.numbers import exact, percent
from llm_holes.engine.surgery.operations import Operation, matrices
from llm_holes.engine.surgery.weights import (
    MatricesNoised,
    MatricesPruned,
    MatricesShuffled,
    MatricesZeroed,
    WeightScaled,
    as_matrix,
)
from llm_holes.lessons.tier2.weights.weight_views import short

FACTORS = {"zero one weight": 0.0, "flip one weight": -1.0, "double one weight": 2.0}


def chosen(engine: Engine, p: Mapping[str, Any], matters: WeightScaled) -> WeightScaled:
    """The weight the settings mean, and what happens to it if it is changed alone."""
    factor = FACTORS.get(p["damage"], 1.0)
    if p["target"] == "the one found":
        return WeightScaled(matters.name, matters.row, matters.column, factor)
    name = full_name(p["kind"], p["layer"])
    if name not in engine.model.weights:
        raise InputError(f"this model has no {p['kind']}", "Choose another kind of weight, or use the default model.")
    rows, columns = as_matrix(engine.model.weights[name]).shape
    if p["target"] == "drawn at random":
        rng = Random(p["seed"])
        return WeightScaled(name, rng.randrange(rows), rng.randrange(columns), factor)
    return WeightScaled(name, min(p["row"], rows - 1), min(p["column"], columns - 1), factor)


def every_matrix(engine: Engine) -> tuple[str, ...]:
    return tuple(matrices(engine.model, "all"))


def damage(engine: Engine, p: Mapping[str, Any], place: WeightScaled) -> list[Operation]:
    if p["damage"] in FACTORS:
        return [place]
    names: tuple[str, ...] = (place.name,)
    if p["scope"] == "this kind in every layer":
        names = tuple(name for name in engine.model.weights if kind(name) == kind(place.name))
    if p["scope"] == "every matrix":
        names = every_matrix(engine)
    share = min(p["amount"], 1.0)
    operations: dict[str, Operation] = {
        "shuffle": MatricesShuffled(names, p["seed"]),
        "add noise": MatricesNoised(names, p["amount"], p["seed"]),
        "zero the matrix": MatricesZeroed(names),
        "prune the smallest": MatricesPruned(names, share, smallest=True),
        "prune at random": MatricesPruned(names, share, smallest=False, seed=p["seed"]),
    }
    return [operations[p["damage"]]] if p["damage"] in operations else []


def drawn(engine: Engine, seed: int, count: int) -> list[WeightScaled]:
    """This many weights to zero, each as likely as any other of the model's matrices."""
    rng = Random(f"compare/{seed}")
    every = [(name, w) for name, w in engine.model.weights.items() if w.dim() == 2]
    picked = rng.choices(every, [w.numel() for _, w in every], k=count)
    return [WeightScaled(name, rng.randrange(w.shape[0]), rng.randrange(w.shape[1]), 0.0) for name, w in picked]


def without(engine: Engine, weight: WeightScaled, ids: Sequence[int], stream: Tensor) -> Tensor:
    """Logits [pos, d_vocab] with one weight changed. Below its layer the stream is as it was: `stream`
    [state, pos, d_model]."""
    changed, layer = engine.operated([weight]), layer_of(weight.name)
    if layer is None:
        return changed.logits(ids)
    return changed.model.unembed(changed.model.run_layers(stream[layer][None], layer))[0]


def done(p: Mapping[str, Any], place: WeightScaled) -> str:
    """The damage in a few words, as a caption begins."""
    if p["damage"] in FACTORS:
        return f"{p['damage'].capitalize()}: {short(place.name)}[{place.row}, {place.column}]"
    if p["damage"] == "none":
        return "Nothing changed"
    extent = {"this matrix": short(place.name), "every matrix": "every matrix"}.get(
        p["scope"], f"{short(kind(place.name))} of every layer"
    )
    how = {"add noise": f" of {exact(p['amount'])} times their spread", "zero the matrix": "", "shuffle": ""}.get(
        p["damage"], f", {percent(min(p['amount'], 1.0))},"
    )
    return f"{p['damage'].capitalize()}{how} in {extent}"
