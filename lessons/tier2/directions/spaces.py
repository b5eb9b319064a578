"""Places to do arithmetic with words in: the embedding table, a short list, the states after a layer, GloVe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.model.hook_names import tap
from llm_holes.lessons.shared.words import embedding_table, word
from llm_holes.lessons.tier2.directions.glove import glove

BATCH = 32


@dataclass(frozen=True)
class Space:
    """Candidates as rows of `vectors` [candidates, d] with their `norms`, what each is called, and which of them a
    typed word is made of."""

    vectors: Tensor
    norms: Tensor
    label: Callable[[int], str]
    rows: Callable[[str], tuple[int, ...]]

    def vector(self, text: str) -> Tensor:
        own: Tensor = self.vectors[torch.tensor(self.rows(text))]
        return own.mean(0)

    def cosines(self, queries: Tensor) -> Tensor:
        """[queries, candidates] of queries [queries, d]."""
        norms: Tensor = queries.norm(dim=1)[:, None] * self.norms
        dots: Tensor = queries @ self.vectors.T
        return dots / norms.clamp_min(1e-12)


def space(engine: Engine, name: str, words: Sequence[str], layer: int) -> Space:
    """The space called `name`; `words` are the candidates where not a whole vocabulary is. Raises InputError."""
    if name == "table":
        table = embedding_table(engine)
        return Space(table, table.norm(dim=1), engine.token_text, lambda text: word(engine, text, "a word").ids)
    if name == "GloVe":
        rows, vectors = glove()
        names = list(rows)
        return Space(vectors, vectors.norm(dim=1), names.__getitem__, lambda text: (_known(rows, text),))
    names = list(dict.fromkeys(words))
    if name == "listed words":
        vectors = torch.stack([word(engine, text, "a word").vector for text in names])
    else:
        vectors = states(engine, layer, "The word", names)
    return Space(vectors, vectors.norm(dim=1), names.__getitem__, lambda text: (names.index(text.strip()),))


def states(engine: Engine, layer: int, prefix: str, words: Sequence[str]) -> Tensor:
    """The stream [words, d_model] after `layer` at the last token of "prefix word"; the layers above are not run."""
    lower, point = engine.model.up_to(layer), tap(layer, "hook_resid_post")
    by_length: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
    for row, text in enumerate(words):
        ids = engine.encode(f"{prefix} {text}")
        by_length[len(ids)].append((row, ids))
    found = torch.empty(len(words), lower.config.d_model)
    for group in by_length.values():
        for start in range(0, len(group), BATCH):
            batch = group[start : start + BATCH]
            acts = lower.forward(torch.tensor([ids for _, ids in batch]), taps=[point], logits_to_keep=1).acts
            found[torch.tensor([row for row, _ in batch])] = torch.from_numpy(acts[point][:, -1])
    return found


def ranked(scores: Tensor, index: int, without: Collection[int] = ()) -> int:
    """The place of `index` among scores [candidates], 1 the highest, leaving out `without`."""
    higher = scores > scores[index]
    return 1 + int(higher.sum()) - sum(bool(higher[i]) for i in set(without) - {index})


def _known(rows: dict[str, int], text: str) -> int:
    if text.strip().lower() not in rows:
        raise InputError(f"GloVe has no vector for {text!r}", "Type a common English word.")
    return rows[text.strip().lower()]
