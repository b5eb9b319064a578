"""Where rows lie: a map of words, and the rows nearest to one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Scatter
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.words import Word, best, cosines, embedding_table, labels, word

NEIGHBOURS = 20


def nearest_rows(engine: Engine, token: int) -> Bars:
    """The rows with the largest cosine to that of `token`, without itself."""
    table = embedding_table(engine)
    found = cosines(table, table[token])
    near = best(found, NEIGHBOURS, {token})
    title = f"nearest rows to {spelt(engine.token_text(token))}, by cosine"
    return Bars(title, labels(engine, near), tuple(found[near].tolist()), range=(-1, 1))


def principal_plane(vectors: Tensor) -> tuple[Tensor, float]:
    """Coordinates [rows, 2] of vectors [rows, d_model] in their two widest directions, and the share of the variance
    these hold; signs are fixed so that the same words give the same map."""
    centred = vectors - vectors.mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    plane = torch.zeros(len(vectors), 2)
    count = min(2, len(s))
    plane[:, :count] = u[:, :count] * s[:count]
    plane *= plane.gather(0, plane.abs().argmax(0, keepdim=True)).sign()
    return plane, float((s[:2] ** 2).sum() / (s**2).sum().clamp_min(1e-12))


def word_map(engine: Engine, names: Sequence[str], looked_up: Word) -> tuple[float, Scatter]:
    """The share of the differences that the map keeps, and the map."""
    if not names:
        return 0.0, Scatter("no words on the map", (), (), ())
    words = [word(engine, name, "words") for name in names]
    plane, share = principal_plane(torch.stack([w.vector for w in words]))
    return share, Scatter(
        f"your words, flattened ({percent(share)} of the differences kept)",
        tuple(names),
        tuple(plane[:, 0].tolist()),
        tuple(plane[:, 1].tolist()),
        marked=names.index(looked_up.text) if looked_up.text in names else None,
        x_label="first direction",
        y_label="second",
        control="word",
    )
