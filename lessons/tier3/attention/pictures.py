"""What the lesson draws of one head: weights, what they carry, and one token's list."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Bars, Heatmap, Table
from llm_holes.engine.model.decoder import causal_mask
from llm_holes.engine.numbers import plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.head_views import head_name
from llm_holes.lessons.tier3.attention.one_head import OneHead

TOP_KEYS = 10
NEXT = 4
"""Words that each of two models may put next."""


def looks(found: OneHead, names: Sequence[str], tokens: int, place: tuple[int, int], row: int) -> Heatmap:
    """The head's weights among the tokens named, of `tokens` in all."""
    title = f"{head_name(*place)}: whom each token looks at"
    return _map(title, found.weights[:, found.start :], names, tokens, row, "weight")


def takes(
    found: OneHead, lengths: Tensor, names: Sequence[str], tokens: int, place: tuple[int, int], row: int
) -> Heatmap:
    """Each weight times the length of what the token looked at sends, `lengths` [key]; the longest is 1."""
    title = f"{head_name(*place)}: what is taken: weight × length of what is sent (longest = 1)"
    taken = found.weights * (lengths / lengths.max().clamp_min(1e-12))
    return _map(title, taken[:, found.start :], names, tokens, row, "share")


def _map(title: str, values: Tensor, names: Sequence[str], tokens: int, row: int, unit: str) -> Heatmap:
    shown = values.masked_fill(~causal_mask(len(names), len(names)), math.nan)
    whole = len(names) == tokens
    return Heatmap(
        title if whole else f"{title} ({len(names):,} of {plural(tokens, 'token')})",
        Array.of(shown.numpy()),
        row_label="token",
        column_label="looks at",
        row_names=tuple(names),
        column_names=tuple(names),
        unit=unit,
        row_control="position" if whole else "",
        column_control="look_at" if whole else "",
        cursor=(row, int(values[row].argmax())),
    )


def next_words(engine: Engine, intact: Tensor, changed: Tensor, done: str) -> Bars:
    """The likeliest next words after the text, each as it is and as it is `done`, given the logits of both."""
    before, after = intact.softmax(-1), changed.softmax(-1)
    best = torch.maximum(before, after).topk(NEXT).indices.tolist()
    names = [spelt(engine.token_text(i)) for i in best]
    return Bars(
        f"as it is, and below: {done}",
        tuple(label for name in names for label in (name, "cut")),
        tuple(float(p[i]) for i in best for p in (before, after)),
        "probability",
        range=(0.0, 1.0),
    )


def reads(found: OneHead, lengths: Tensor, names: Sequence[str], position: int) -> Table:
    """For one token: which earlier tokens it looks at, how long their values are, and what each of them adds."""
    row = position - found.start
    weights, scores = found.weights[row], found.scores[row]
    rows = tuple(
        (
            i,
            names[i],
            float(scores[i]),
            float(weights[i]),
            float(found.values[i].norm()),
            float(weights[i] * lengths[i]),
        )
        for i in weights.topk(min(TOP_KEYS, position + 1)).indices.tolist()
    )
    title = f"what token {position}, {spelt(names[position])}, reads"
    return Table(title, ("", "token", "score", "weight", "length of value", "length of what it adds"), rows)
