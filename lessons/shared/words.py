"""Words as the vector lessons take them: what the learner types → rows of the embedding table → nearest tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.vectors import TABLE

MAX_PIECES = 64


@dataclass(frozen=True)
class Word:
    """A typed word, its tokens as in the middle of a text, and the mean [d_model] of their rows."""

    text: str
    ids: tuple[int, ...]
    vector: Tensor


def embedding_table(engine: Engine) -> Tensor:
    """The rows [tokens, d_model] that have a token: some models pad their table with more."""
    return engine.model.weights[TABLE][: engine.tokenizer.vocabulary]


def output_table(model: Decoder) -> Tensor:
    """The rows [vocabulary, d_model] the final vector is compared with; the embedding table where the two are tied."""
    return model.weights[TABLE if model.config.tied_embeddings else "lm_head.weight"]


def word(engine: Engine, text: str, name: str) -> Word:
    """The word with the space in front that it has inside a text. Raises InputError, calling the setting `name`."""
    typed = text.strip()
    if not typed:
        raise InputError(f"{name} is empty", "Type a word.")
    ids = engine.tokenizer.encode(f" {typed}")
    if not ids or len(ids) > MAX_PIECES:
        raise InputError(f"{name} has {len(ids)} tokens", f"Type a word of 1 to {MAX_PIECES} tokens.")
    return Word(typed, tuple(ids), engine.model.weights[TABLE][torch.tensor(ids)].mean(0))


def cosine(a: Tensor, b: Tensor) -> float:
    """a·b over both norms; 0 if one of them is 0 and the vector so has no direction."""
    return float(torch.cosine_similarity(a, b, dim=0, eps=1e-12))


def cosines(table: Tensor, vector: Tensor) -> Tensor:
    """The cosine of `vector` [d_model] with each row, [rows]; no copy of the table is made."""
    norms: Tensor = table.norm(dim=1) * vector.norm()
    dots: Tensor = table @ vector
    return dots / norms.clamp_min(1e-12)


def best(scores: Tensor, count: int, without: Collection[int] = ()) -> list[int]:
    """The indices of the `count` highest scores, highest first, leaving out `without`."""
    order = scores.topk(min(count + len(without), len(scores))).indices.tolist()
    return [i for i in order if i not in without][:count]


def labels(engine: Engine, ids: Sequence[int]) -> tuple[str, ...]:
    return tuple(engine.token_text(i) for i in ids)
