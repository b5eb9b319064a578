"""The final vector times every row of the output table: the scores of the next token, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Arrow, Dots, Plane, Table
from llm_holes.engine.numbers import exact
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.from_the_side import drawn, from_the_side
from llm_holes.lessons.shared.words import best, cosines, output_table

POINT = "ln_final.hook_normalized"
SHOWN = 8
STRANGERS = 200


def vector_and_rows(engine: Engine, ids: Sequence[int], row_scale: float) -> tuple[dict[str, Any], Plane, Table]:
    """The final vector with each row of the output table, and who wins if the length of the winner's row changes."""
    out = engine.model.forward(torch.tensor([ids]), taps=[POINT], logits_to_keep=1)
    state, table = torch.as_tensor(out.acts[POINT][0, -1]), output_table(engine.model)[: engine.tokenizer.vocabulary]
    logits = out.logits[0, -1, : len(table)]
    shown = best(logits, SHOWN)
    by_hand = (table[shown].double() * state.double()).sum(-1)
    angle = cosines(table, state)
    winner, nearest = shown[0], int(angle.argmax())
    resized = logits.clone()
    resized[winner] *= row_scale
    then = int(resized.argmax())
    measured = {
        "logit_reproduced_max_abs_diff": float((by_hand - logits[shown]).abs().max()),
        "winner": engine.token_text(winner),
        "winner_logit": float(logits[winner]),
        "winner_cosine": float(angle[winner]),
        "winner_angle": float(angle[winner].clamp(-1, 1).acos().rad2deg()),
        "best_cosine": float(angle[nearest]),
        "best_by_cosine": engine.token_text(nearest),
        "row_scale": row_scale,
        "winner_with_scaled_row": engine.token_text(then),
    }
    named = [(spelt(engine.token_text(winner)), table[winner])]
    if nearest != winner:
        named.append((f"{spelt(engine.token_text(nearest))}, best by angle", table[nearest]))
    if row_scale != 1:
        named.append((f"{spelt(engine.token_text(winner))} times {exact(row_scale)}", table[winner] * row_scale))
    if then not in (winner, nearest):
        named.append((spelt(engine.token_text(then)), table[then]))
    rows = tuple(
        (
            engine.token_text(i),
            float(table[i].norm()),
            float(state.norm()),
            float(angle[i]),
            float(dot),
            float(logits[i]),
        )
        for i, dot in zip(shown, by_hand, strict=True)
    )
    columns = (
        "row of",
        "its length",
        "length of the vector",
        "cosine",
        "length × length × cosine",
        "the model's logit",
    )
    return (
        measured,
        _beside(state, named, table),
        Table("the final vector with rows of the output table", columns, rows),
    )


def _beside(state: Tensor, named: list[tuple[str, Tensor]], table: Tensor) -> Plane:
    """The final vector's direction along the axis, as long as the longest row drawn; rows as arrows and dots."""
    along, away = (part.tolist() for part in from_the_side(torch.stack([v for _, v in named]), state))
    strangers = table[drawn(len(table), STRANGERS)]
    x, y = (part.tolist() for part in from_the_side(strangers, state))
    arrows = [Arrow("the final vector's way", max(y), 0.0)]
    arrows += [Arrow(name, along[n], away[n]) for n, (name, _) in enumerate(named)]
    dots = (Dots(f"rows of {STRANGERS} tokens drawn at random", tuple(x), tuple(y)),)
    return Plane(
        "every row's shadow on the final vector: the longer, the likelier", tuple(arrows), angle=(0, 1), dots=dots
    )
