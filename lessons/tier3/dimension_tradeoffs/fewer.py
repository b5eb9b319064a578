"""Some matrices of the model with fewer directions: which matrices, how far the predictions move, what it saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Mark, Table, series
from llm_holes.engine.measure import changed_share, kl_nats, perplexity
from llm_holes.engine.surgery.low_rank import Directions, LowRank, ThinTables, break_even_rank, factored_parameters
from llm_holes.engine.surgery.operations import PARTS, Operation, matrices

PARTS_TRIED = (1 / 8, 1 / 2, 3 / 4, 35 / 36)
"""Of the width: so many directions are kept, besides as many as were asked for."""


@dataclass(frozen=True)
class Left:
    """What is left with so many directions: share of the energy, share of next tokens that stay, and the distance."""

    energy: float
    same: float
    kl: float
    perplexity: float

    def measured(self) -> dict[str, Any]:
        changed = 1 - self.same
        ruined, forgiven, whole = changed > 0.6 and self.energy > 0.9, changed < 0.2, self.energy >= 1
        return {
            "energy_kept": self.energy,
            "kl_nats": self.kl,
            "perplexity": self.perplexity,
            "words_changed_share": changed,
            "words_changed_of_100": round(100 * changed),
            "reduced_case": "whole" if whole else "ruined" if ruined else "forgiven" if forgiven else "neither",
        }


def chosen(engine: Engine, part: str, layer: int) -> list[str]:
    """The names of the matrices that are reduced."""
    if part == "embedding table":
        return matrices(engine.model, "embedding")
    kinds = {"one layer's attention": PARTS["attention"], "one layer's FFN": PARTS["ffn"]}.get(part, PARTS["layers"])
    own = [name for name in matrices(engine.model, "layers") if name.startswith(f"model.layers.{layer}.")]
    return [name for name in own if any(kind in name for kind in kinds)]


def ranks(asked: int, width: int) -> list[int]:
    """The one asked for comes first."""
    return list(dict.fromkeys((asked, *(max(round(width * part), 1) for part in PARTS_TRIED))))


def reduced(found: dict[str, Directions], rank: int) -> Operation:
    tables = all("layers." not in name and own.tall for name, own in found.items())
    return ThinTables(rank, found) if tables else LowRank(rank, found)


def left_with(
    engine: Engine, found: dict[str, Directions], tried: Sequence[int], ids: Sequence[int], intact: Tensor
) -> Iterator[tuple[int, Left]]:
    """For each number of directions what the passage's predictions [pos, d_vocab] become. Raises Cancelled."""
    for rank in tried:
        logits = engine.operated([reduced(found, rank)]).logits(ids)
        kept = [own.kept(rank) for own in found.values()]
        after = perplexity(logits, torch.tensor(ids))
        share = 1 - changed_share(intact, logits)
        yield rank, Left(sum(kept) / len(kept), share, kl_nats(intact, logits), after)


def energy_and_words(points: Mapping[int, Left], asked: int, width: int) -> Curve:
    """How much of the energy is left, and how many next tokens: with all directions, all."""
    known = {width: Left(1, 1, 0, 0), **points}
    xs = sorted(known)
    energy = series("energy kept", xs, [known[x].energy for x in xs])
    words = series("next tokens that stay", xs, [known[x].same for x in xs])
    mark = Mark(f"{asked:,} kept", asked, points[asked].same)
    title = "energy, and next tokens of a passage"
    return Curve(title, (energy, words), "directions kept", "share", y_range=(0, 1), x_range=(0, width), marks=(mark,))


def counted(engine: Engine, names: list[str], rank: int) -> dict[str, Any]:
    """Numbers and operations of these matrices whole and as two factors."""
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


def bill(measured: Mapping[str, Any]) -> Table:
    rows = (
        ("numbers in these matrices", measured["parameters_full"], measured["parameters_kept"]),
        ("FLOPs per token, all matrices of the model", measured["flops_per_token_full"], measured["flops_per_token"]),
        ("perplexity", measured["perplexity_intact"], measured["perplexity"]),
        ("two factors are smaller below rank", "", measured["break_even_rank"]),
    )
    return Table("whole, and as two factors of this rank", ("", "whole", "factored"), rows)
