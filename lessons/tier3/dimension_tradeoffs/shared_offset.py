"""Where the energy of the output table lies, and where the vectors lie that it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Mark, series
from llm_holes.engine.measure import changed_share
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.low_rank import FINAL, Directions
from llm_holes.lessons.shared.words import output_table

WEAKEST = 9
"""The weakest directions are one in so many: 64 of 576."""


@dataclass(frozen=True)
class Offset:
    """Shares of the table's energy: in the average row, which all rows share, and along the direction it points in."""

    energy: float
    along: float


def offset_of(table: Tensor) -> Offset:
    """Of the rows [rows, d_model]."""
    mean, total = table.mean(0), float(table.square().sum())
    along = float((table @ (mean / mean.norm().clamp_min(1e-12))).square().sum())
    return Offset(len(table) * float(mean @ mean) / total, along / total)


def final_vectors(engine: Engine, ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """What is compared with the output table at each place of the text, [pos, d_model], and the logits."""
    out = engine.model.forward(torch.tensor([list(ids)]), taps=[FINAL])
    return torch.as_tensor(out.acts[FINAL][0]), out.logits[0]


def weakest(own: Directions) -> int:
    return max(len(own.energy) // WEAKEST, 1)


def without(engine: Engine, own: Directions, final: Tensor, logits: Tensor) -> dict[str, float]:
    """The share of next tokens that would be others, if only in the last multiplication the table lost the row that
    all rows share, and if it lost its weakest directions."""
    table = output_table(engine.model)
    lost = own.basis[:, -weakest(own) :]
    return {
        "words_changed_share_without_offset": changed_share(logits, logits - (final @ table.mean(0))[:, None]),
        "words_changed_share_without_weakest": changed_share(logits, logits - (final @ lost) @ (table @ lost).T),
    }


def where_it_lies(own: Directions, final: Tensor, token: str) -> tuple[float, Curve]:
    """The share of the final vector [d_model] in the weakest directions, and both shares direction by direction."""
    spent = (final @ own.basis).square()
    energy, vector = ((x / x.sum().clamp_min(1e-30)).cumsum(0).tolist() for x in (own.energy, spent))
    start = max(len(energy) - weakest(own), 1)
    xs = sorted({0, *range(0, len(energy), max(len(energy) // 96, 1)), start - 1, len(energy) - 1})
    lines = tuple(
        series(name, [x + 1 for x in xs], [ys[x] for x in xs])
        for name, ys in (("the table", energy), ("the last vector", vector))
    )
    marks = (Mark("the strongest one", 1.0, energy[0]), Mark("weakest from here", float(start), vector[start - 1]))
    title = f"the table, and the vector after {spelt(token)}"
    curve = Curve(title, lines, "directions, strongest first", "share", y_range=(0, 1), marks=marks)
    return 1 - vector[start - 1], curve
