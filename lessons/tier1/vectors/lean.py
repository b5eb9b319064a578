"""How all arrows of the table lean the same way, seen from the side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llm_holes.engine.frames import Arrow, Dots, Plane
from llm_holes.lessons.shared.from_the_side import drawn, from_the_side
from llm_holes.lessons.shared.words import Word

SHOWN = 300


def leaning(table: Tensor, mean: Tensor) -> float:
    """The share of tokens that go the way of the average arrow, rather than against it."""
    return float((table @ mean > 0).float().mean())


def seen_from_the_side(table: Tensor, mean: Tensor, origin: Tensor, words: Sequence[Word]) -> Plane:
    """Some random tokens as dots; as arrows the words, and the average of all tokens unless it was taken away."""
    along, away = (part.tolist() for part in from_the_side(table[drawn(len(table), SHOWN)] - origin, mean))
    named = [(word.text, word.vector) for word in words]
    if not origin.any():
        named.append(("the average", mean))
    x, y = (part.tolist() for part in from_the_side(torch.stack([v for _, v in named]) - origin, mean))
    arrows = tuple(Arrow(name, x[n], y[n]) for n, (name, _) in enumerate(named))
    title = "across: along the average of all arrows · up: away from it"
    return Plane(title, arrows, dots=(Dots(f"{SHOWN} tokens drawn at random", tuple(along), tuple(away)),))
