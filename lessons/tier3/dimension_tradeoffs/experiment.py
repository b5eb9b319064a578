"""Keeps only the strongest directions of some matrices, counts what that saves, and measures what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Curve, Frame, Table, series
from llm_holes.engine.measure import kl_nats, perplexity
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.surgery.low_rank import LowRank, break_even_rank, crowding, directions, factored_parameters
from llm_holes.engine.surgery.operations import PARTS, matrices
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier3.dimension_tradeoffs.widths import costs

WIDTHS_SHOWN = (16, 64, 256, 1024)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = passage_ids(engine, p["kl_tokens"])
    report, untouched = Report(), Untouched.of(engine, ids)
    intact, targets = engine.logits(ids), torch.tensor(ids)
    names = chosen(engine, p["part"], p["layer"])
    narrow = min(min(engine.model.weights[name].shape) for name in names)
    rank = min(p["rank"], max(min(engine.model.weights[name].shape) for name in names))
    before, (crowd, crowded) = perplexity(intact, targets), _crowd(engine, p["vectors"], p["seed"])
    report.measure(rank=rank, passage_tokens=len(ids))
    report.measure(_counted(engine, names, rank), perplexity_intact=before)
    report.measure(crowd)
    report.show(how_crowded=crowded, published_models=_real())
    still = report.views
    report.say(
        f"In {engine.model.config.d_model:,} dimensions, {plural(p['vectors'], 'random direction')}: the closest two "
        f"have a cosine of {figure(crowd['crowding_largest_cosine'])}."
    )
    yield report.frame(0.2)

    found = directions(engine.model, names)
    points: dict[int, float] = {}
    for n, r in enumerate(dict.fromkeys((rank, narrow // 8, narrow // 2))):
        logits = engine.operated([LowRank(r, found)]).logits(ids)
        points[r] = kl_nats(intact, logits)
        if r == rank:
            kept = [own.kept(rank) for own in found.values()]
            energy, after = sum(kept) / len(kept), perplexity(logits, targets)
            report.measure(energy_kept=energy, kl_nats=points[r], perplexity=after)
            report.say(
                f"{plural(rank, 'direction')}: {percent(energy)} of the energy; KL {figure(points[r])} nats, "
                f"perplexity {figure(before)} → {figure(after)}."
            )
        report.show(*still, fewer_directions=_curve(points), the_saving=_bill(report.measured))
        yield report.frame(0.4 + 0.2 * n)
    report.measure(undo_bit_identical=untouched.holds())
    yield report.frame()


def chosen(engine: Engine, part: str, layer: int) -> list[str]:
    if part == "embedding table":
        return matrices(engine.model, "embedding")
    kinds = {"one layer's attention": PARTS["attention"], "one layer's FFN": PARTS["ffn"]}.get(part, PARTS["layers"])
    own = [name for name in matrices(engine.model, "layers") if name.startswith(f"model.layers.{layer}.")]
    return [name for name in own if any(kind in name for kind in kinds)]


def _counted(engine: Engine, names: list[str], rank: int) -> dict[str, Any]:
    shapes = [engine.model.weights[name].shape for name in names]
    full, kept = sum(s.numel() for s in shapes), sum(factored_parameters(s, min(rank, *s)) for s in shapes)
    read = engine.model.config.d_vocab * engine.model.config.d_model
    multiplied = sum(engine.model.weights[name].numel() for name in matrices(engine.model, "layers")) + read
    two_tables = any("lm_head" in name for name in names)  # only one of them is multiplied with
    saved = (full - kept) // 2 if two_tables else full - kept
    return {
        "parameters_full": full,
        "parameters_kept": kept,
        "break_even_rank": max(break_even_rank(s) for s in shapes),
        "flops_per_token_full": 2 * multiplied,
        "flops_per_token": 2 * (multiplied - saved),
    }


def _crowd(engine: Engine, vectors: int, seed: int) -> tuple[dict[str, float], Bars]:
    own = engine.model.config.d_model
    found, measured = {}, {}
    for d in sorted({*WIDTHS_SHOWN, own}):
        mean, largest = crowding(d, vectors, seed)
        found[f"{d:,} dimensions"] = largest
        if d == own:
            measured = {"crowding_mean_cosine": mean, "crowding_largest_cosine": largest}
    title = f"{plural(vectors, 'random direction')}: the largest cosine of two of them"
    return measured, Bars(title, tuple(found), tuple(found.values()), range=(0, 1))


def _real() -> Table:
    columns = ("published model", "width", "layers", "weights of a layer", "in all matrices")
    return Table("what width costs", columns, tuple(costs()))


def _curve(points: Mapping[int, float]) -> Curve:
    line = series("KL", sorted(points), [points[r] for r in sorted(points)])
    return Curve(f"KL by directions kept, on {NAME}", (line,), x_label="directions", y_label="nats")


def _bill(measured: Mapping[str, Any]) -> Table:
    rows = (
        ("numbers in these matrices", measured["parameters_full"], measured["parameters_kept"]),
        ("FLOPs per token, all matrices of the model", measured["flops_per_token_full"], measured["flops_per_token"]),
        ("perplexity", measured["perplexity_intact"], measured["perplexity"]),
        ("two factors are smaller below rank", "", measured["break_even_rank"]),
    )
    return Table("whole, and as two factors of this rank", ("", "whole", "factored"), rows)
