"""One token times every row of the embedding table: who comes first by the sum, and who by the angle."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Arrow, Dots, Plane, Table
from llm_holes.engine.numbers import count
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.from_the_side import drawn, from_the_side
from llm_holes.lessons.shared.words import Word, best, cosine, cosines

SHOWN = 8
STRANGERS = 200
MOST_LARGER = 300
"""At most so many of those with a larger sum are drawn, the largest."""


def neighbours(engine: Engine, table: Tensor, a: Word, b: Word) -> tuple[dict[str, Any], Plane, Table]:
    """Who is nearest to the first word by dot product and by cosine, other spellings of it left out; how many rows have
    a larger product with it than it has with itself."""
    by_dot, by_cosine = table @ a.vector, cosines(table, a.vector)
    own = float(a.vector @ a.vector)
    first, second = (_without_spellings(engine, a, scores) for scores in (by_dot, by_cosine))
    larger = int((by_dot > own * (1 + 1e-6)).sum())
    measured = {
        "token_dot": float(a.vector @ b.vector),
        "token_cosine": cosine(a.vector, b.vector),
        "neighbour_by_dot": engine.token_text(first[0]),
        "neighbour_by_cosine": engine.token_text(second[0]),
        "tokens_nearer_than_itself_by_dot": larger,
    }
    named = [(a.text, a.vector), (b.text, b.vector)]
    for index in dict.fromkeys((first[0], second[0])):
        if engine.token_text(index).strip() not in (a.text, b.text):
            named.append((spelt(engine.token_text(index)), table[index]))
    rows = tuple(
        (engine.token_text(i), float(by_dot[i]), float(table[i].norm()), engine.token_text(j), float(by_cosine[j]))
        for i, j in zip(first, second, strict=True)
    )
    columns = ("by dot product", "dot", "its length", "by cosine", "cosine")
    beyond = best(by_dot, min(larger, MOST_LARGER)) if larger else []
    return measured, _beside(a, named, table, beyond, larger), Table(f"neighbours of {a.text}", columns, rows)


def _without_spellings(engine: Engine, word: Word, scores: Tensor) -> list[int]:
    """The best tokens that are not the word itself in another spelling: with a capital, without the space."""
    plain = word.text.casefold()
    found = [i for i in best(scores, 4 * SHOWN, word.ids) if engine.token_text(i).strip().casefold() != plain]
    return found[:SHOWN]


def _beside(word: Word, named: list[tuple[str, Tensor]], table: Tensor, beyond: list[int], larger: int) -> Plane:
    """The word along the axis. Every other arrow's shadow there, times the word's length, is its product with it; so
    those with a larger one than the word's own end to the right of its tip."""
    x, y = (part.tolist() for part in from_the_side(torch.stack([v for _, v in named]), word.vector))
    dots = [
        _dots(f"larger sum than {word.text} with itself: {count(larger)}", table[beyond], word),
        _dots(f"{STRANGERS} tokens drawn at random", table[drawn(len(table), STRANGERS)], word),
    ]
    top = max(y for some in dots for y in some.y)
    dots.append(Dots("", (x[0], x[0]), (0.0, top), joined=True))
    arrows = tuple(Arrow(name, x[n], y[n]) for n, (name, _) in enumerate(named))
    title = f"every arrow's shadow on {word.text}: the longer it is, the larger the sum"
    return Plane(title, arrows, dots=tuple(dots))


def _dots(name: str, vectors: Tensor, word: Word) -> Dots:
    along, away = from_the_side(vectors, word.vector)
    return Dots(name, tuple(along.tolist()), tuple(away.tolist()))
