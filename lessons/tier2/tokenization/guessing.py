"""One text, cut as the model was trained to read it and as single bytes: how well it is guessed, piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.lessons.tier2.tokenization.questions import Guessed


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
