"""Keeps only the strongest directions of some matrices, counts what that saves, and measures what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Frame, Table, View, series
from llm_holes.engine.measure import fingerprint, kl_nats, perplexity
from llm_holes.engine.surgery.low_rank import LowRank, break_even_rank, crowding, directions, factored_parameters
from llm_holes.engine.surgery.operations import PARTS, matrices
from llm_holes.lessons.shared.passage import NAME, passage
from llm_holes.lessons.tier3.dimension_tradeoffs.widths import costs

WIDTHS_SHOWN = (16, 64, 256, 1024)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.tokenizer.encode(passage())[: min(p["kl_tokens"], engine.model.config.n_ctx)]
    hashed, intact, targets = fingerprint(engine.model.weights), engine.logits(ids), torch.tensor(ids)
    names = chosen(engine, p["part"], p["layer"])
    narrow = min(min(engine.model.weights[name].shape) for name in names)
    rank = min(p["rank"], max(min(engine.model.weights[name].shape) for name in names))
    measured: dict[str, Any] = {"rank": rank, "passage_tokens": len(ids), **_counted(engine, names, rank)}
    measured["perplexity_intact"] = perplexity(intact, targets)
    crowd = _crowd(engine, p["vectors"], p["seed"], measured)
    still: tuple[View, ...] = (crowd, _real())
    caption = (
        f"In {engine.model.config.d_model} dimensions, {p['vectors']} random directions: the closest two have a cosine "
        f"of {measured['crowding_largest_cosine']:.2f}."
    )
    yield Frame(caption, still, dict(measured), 0.2)

    found = directions(engine.model, names)
    points: dict[int, float] = {}
    for n, r in enumerate(dict.fromkeys((rank, narrow // 8, narrow // 2))):
        logits = engine.operated([LowRank(r, found)]).logits(ids)
        points[r] = kl_nats(intact, logits)
        if r == rank:
            kept = [own.kept(rank) for own in found.values()]
            measured |= {
                "energy_kept": sum(kept) / len(kept),
                "kl_nats": points[r],
                "perplexity": perplexity(logits, targets),
            }
        caption = (
            f"{rank} directions: {measured['energy_kept']:.1%} of the energy; KL {measured['kl_nats']:.3g} nats, "
            f"perplexity {measured['perplexity_intact']:.1f} → {measured['perplexity']:,.1f}."
        )
        yield Frame(caption, (_curve(points), _bill(measured), *still), dict(measured), 0.4 + 0.2 * n)
    same = fingerprint(engine.model.weights) == hashed and torch.equal(engine.logits(ids), intact)
    measured["undo_bit_identical"] = same
    yield Frame(caption, (_curve(points), _bill(measured), *still), measured)


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


def _crowd(engine: Engine, vectors: int, seed: int, measured: dict[str, Any]) -> Table:
    own = engine.model.config.d_model
    rows = []
    for d in sorted({*WIDTHS_SHOWN, own}):
        mean, largest = crowding(d, vectors, seed)
        rows.append((d, mean, largest))
        if d == own:
            measured |= {"crowding_mean_cosine": mean, "crowding_largest_cosine": largest}
    title = f"{vectors} random directions: how near do two of them come?"
    return Table(title, ("dimensions", "mean |cosine|", "largest"), tuple(rows))


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
