"""One text, cut as the model was trained to read it and as single bytes: how well it is guessed, piece by piece."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, series
from llm_holes.engine.tokenizer.bpe import BPE

MOST_BYTES = 400
BYTE_BITS = 8


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


def by_tokens_and_bytes(engine: Engine, bpe: BPE, text: str) -> tuple[Guessed, Guessed]:
    """The same bytes twice: as the tokens the model was trained on, then one by one."""
    words = bpe.words(text)
    tokens = [i for word in words for i in bpe.encode_word(word)]
    return guessed(engine, tokens), guessed(engine, [i for word in words for i in bpe.spelt(word)])


def guessed(engine: Engine, ids: Sequence[int]) -> Guessed:
    """Each piece after all before it. The text starts where any text does, or after a line break, so that the first
    piece is guessed too."""
    if not ids:
        return Guessed((), ())
    start = list(engine.tokenizer.begin) or engine.tokenizer.encode("\n")
    logits = engine.logits([*start, *ids], len(ids) + 1)[:-1].log_softmax(-1)  # [pieces, d_vocab]
    nats = -logits.gather(1, torch.tensor([ids]).T)[:, 0]
    ends = accumulate(len(engine.tokenizer.token_bytes(i)) for i in ids)
    return Guessed(tuple(ends), tuple(nats.tolist()))


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
