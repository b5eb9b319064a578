"""How well a text is guessed, piece by piece, counted in yes-or-no questions. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from llm_holes.engine.frames import Curve, Value, series

MOST_BYTES = 400
BYTE_BITS = 8
LEAST = 1e-300
"""No chance that is told is less."""


@dataclass(frozen=True, slots=True)
class Guessed:
    """A text in pieces: the bytes read up to the end of each, and the surprise at it, in nats."""

    ends: tuple[int, ...]
    nats: tuple[float, ...]

    @property
    def total(self) -> float:
        return sum(self.nats)

    @property
    def questions(self) -> float:
        """Yes-or-no questions that a perfect guesser needs who knows the model's chances: the surprise in bits."""
        return self.total / math.log(2)


def beginning(text: str) -> str:
    """As much of the text as is measured; no character is cut in two."""
    return text.encode()[:MOST_BYTES].decode(errors="ignore")


def of_chances(sizes: Sequence[int], chances: Sequence[float]) -> Guessed:
    """Pieces of so many bytes, each with its chance, 0..1, after those before it."""
    return Guessed(tuple(accumulate(sizes)), tuple(-math.log(max(p, LEAST)) for p in chances))


def measured(tokens: Guessed, single: Guessed) -> dict[str, Value]:
    """What the lesson publishes of a text as its tokens, and as single bytes."""
    return {
        "nats_by_tokens": tokens.total,
        "nats_by_bytes": single.total,
        "questions_by_tokens": round(tokens.questions),
        "questions_by_bytes": round(single.questions),
        "questions_knowing_nothing": BYTE_BITS * len(single.nats),
        "surprise_ratio": single.total / tokens.total if tokens.total else 1.0,
        "pieces_by_tokens": len(tokens.nats),
        "pieces_by_bytes": len(single.nats),
    }


def guessing(tokens: Guessed, single: Guessed) -> Curve:
    """The questions asked so far, along the text; the straight line is one who knows nothing."""
    size = max(single.ends, default=0)
    lines = [
        series(name, (0, *found.ends), (0.0, *(total / math.log(2) for total in accumulate(found.nats))))
        for name, found in (("as single bytes", single), ("as its own tokens", tokens))
    ]
    blind = series("knowing nothing", (0, size), (0, BYTE_BITS * size))
    title = "yes-or-no questions needed to guess the text"
    return Curve(title, (lines[1], lines[0], blind), "bytes of the text", "questions so far")
