"""The parameter tree, a look into any matrix, damage to one weight or many, and the search for one that matters."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff, Frame, Table
from llm_holes.engine.interpret.weight_map import full_name, kind, totals
from llm_holes.engine.measure import kl_nats, perplexity
from llm_holes.engine.numbers import exact, figure, percent
from llm_holes.engine.surgery.ablations import super_weight, weight_name
from llm_holes.engine.surgery.operations import Operation
from llm_holes.engine.surgery.weights import MatricesNoised, MatricesPruned, MatricesZeroed, WeightScaled, as_matrix
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier2.weights.weight_views import histogram, parts_of, short, value, window

FACTORS = {"zero one weight": 0.0, "flip one weight": -1.0, "double one weight": 2.0}


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    prompt = engine.chat(p["text"], p["max_new_tokens"])
    report, untouched = Report(), Untouched.of(engine, prompt)
    found = super_weight(engine.model, prompt)
    matters = WeightScaled(weight_name(found.layer, found.matrix), found.row, found.column, 0.0)
    place = chosen(engine, p, matters)
    report.measure(_counted(engine) | _place(engine, place) | _found(engine, matters))
    bars, tree = parts_of(engine)
    matrix, sizes = window(engine, place), histogram(engine, place.name)
    report.show(where_they_are=bars, inside_a_matrix=matrix, histogram=sizes, every_kind=tree)
    report.say(f"{engine.info.parameters:,} weights; you look at one, {figure(value(engine, place))}.")
    yield report.frame(0.2)

    ids = passage_ids(engine, p["kl_tokens"])
    intact, changed = engine.logits(ids), engine.operated(damage(engine, p, place))
    moved = _moved(ids, intact, changed.logits(ids))
    report.measure(moved, weight_value_changed=value(changed, place))
    report.say(
        f"{done(p, place)}: KL {figure(moved['kl_nats'])} nats, perplexity {figure(moved['perplexity_intact'])} → "
        f"{figure(moved['perplexity_changed'])}."
    )
    yield report.frame(0.4)

    answer, other = (e.write(prompt, p["max_new_tokens"]) for e in (engine, changed))
    report.measure(answer=answer, answer_changed=other)
    diff = Diff("the answer", answer, other, "intact", "damaged")
    report.show_also(the_answer=diff)
    still = report.views
    yield report.frame(0.6)

    others = drawn(engine, p["seed"], p["compare"])
    kls: list[float] = []
    for single in (matters, *others):
        kls.append(kl_nats(intact, engine.operated([single]).logits(ids)))
        report.show(*still, one_at_a_time=_compared(engine, [matters, *others], kls))
        yield report.frame(0.6 + 0.4 * len(kls) / (len(others) + 2))
    random = kls[1:]
    report.measure(kl_found=kls[0], kl_random_median=statistics.median(random), kl_random_max=max(random))
    report.measure(undo_bit_identical=untouched.holds())
    report.say(f"{done(p, place)}: KL {figure(moved['kl_nats'])} nats. The one found: {figure(kls[0])} nats.")
    yield report.frame()


def chosen(engine: Engine, p: Mapping[str, Any], matters: WeightScaled) -> WeightScaled:
    """The weight the settings mean, and what happens to it if it is changed alone."""
    factor = FACTORS.get(p["damage"], 1.0)
    if p["target"] == "the one found":
        return WeightScaled(matters.name, matters.row, matters.column, factor)
    name = full_name(p["kind"], p["layer"])
    rows, columns = as_matrix(engine.model.weights[name]).shape
    if p["target"] == "drawn at random":
        rng = Random(p["seed"])
        return WeightScaled(name, rng.randrange(rows), rng.randrange(columns), factor)
    return WeightScaled(name, min(p["row"], rows - 1), min(p["column"], columns - 1), factor)


def damage(engine: Engine, p: Mapping[str, Any], place: WeightScaled) -> list[Operation]:
    if p["damage"] in FACTORS:
        return [place]
    names: tuple[str, ...] = (place.name,)
    if p["scope"] != "this matrix":
        names = tuple(name for name in engine.model.weights if kind(name) == kind(place.name))
    share = min(p["amount"], 1.0)
    operations: dict[str, Operation] = {
        "add noise": MatricesNoised(names, p["amount"], p["seed"]),
        "zero the matrix": MatricesZeroed(names),
        "prune the smallest": MatricesPruned(names, share, smallest=True),
        "prune at random": MatricesPruned(names, share, smallest=False, seed=p["seed"]),
    }
    return [operations[p["damage"]]] if p["damage"] in operations else []


def drawn(engine: Engine, seed: int, count: int) -> list[WeightScaled]:
    """This many weights to zero, each as likely as any other of the model's matrices."""
    rng = Random(f"compare/{seed}")
    matrices = [(name, w) for name, w in engine.model.weights.items() if w.dim() == 2]
    picked = rng.choices(matrices, [w.numel() for _, w in matrices], k=count)
    return [WeightScaled(name, rng.randrange(w.shape[0]), rng.randrange(w.shape[1]), 0.0) for name, w in picked]


def done(p: Mapping[str, Any], place: WeightScaled) -> str:
    if p["damage"] in FACTORS:
        return f"{p['damage'].capitalize()} of {short(place.name)}[{place.row}, {place.column}]"
    if p["damage"] == "none":
        return "Nothing changed"
    extent = short(place.name) if p["scope"] == "this matrix" else f"{kind(place.name)} of every layer"
    how = {"add noise": f" of {exact(p['amount'])} σ", "zero the matrix": ""}.get(
        p["damage"], f", {percent(min(p['amount'], 1.0))},"
    )
    return f"{p['damage'].capitalize()}{how} in {extent}"


def _counted(engine: Engine) -> dict[str, Any]:
    found = totals(engine.model.weights)
    return {"parameters_total": sum(found.values()), **{f"parameters_{name}": found[name] for name in found}}


def _place(engine: Engine, place: WeightScaled) -> dict[str, Any]:
    w = as_matrix(engine.model.weights[place.name])
    return {
        "matrix": short(place.name),
        "matrix_rows": w.shape[0],
        "matrix_columns": w.shape[1],
        "weight_std": float(w.std()),
        "row": place.row,
        "column": place.column,
        "weight_value": value(engine, place),
    }


def _found(engine: Engine, matters: WeightScaled) -> dict[str, Any]:
    own = value(engine, matters)
    return {
        "found_matrix": short(matters.name),
        "found_row": matters.row,
        "found_column": matters.column,
        "found_value": own,
        "larger_weights_in_matrix": int((engine.model.weights[matters.name].abs() > abs(own)).sum()),
    }


def _moved(ids: Sequence[int], intact: Tensor, changed: Tensor) -> dict[str, Any]:
    targets = torch.tensor(ids)
    return {
        "passage_tokens": len(ids),
        "kl_nats": kl_nats(intact, changed),
        "perplexity_intact": perplexity(intact, targets),
        "perplexity_changed": perplexity(changed, targets),
    }


def _compared(engine: Engine, weights: Sequence[WeightScaled], kls: Sequence[float]) -> Table:
    rows = tuple(
        ("found" if n == 0 else "random", f"{short(w.name)}[{w.row}, {w.column}]", value(engine, w), kl)
        for n, (w, kl) in enumerate(zip(weights, kls, strict=False))
    )
    return Table(f"one weight zeroed at a time, on {NAME}", ("", "weight", "value", "KL, nats"), rows, marked=0)
