"""Places to do arithmetic with words in: the embedding table, a short list, the states after a layer, GloVe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
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
    """Candidates as rows of `vectors` [row, d] with their `norms` and `texts`, and of which rows a typed word is made.

    ` Paris`, `Paris` and ` paris` are three tokens and one word: what answers is a spelling, and `spelling` [row] says
    which of the spellings (`places` by their text) a row belongs to."""

    vectors: Tensor
    norms: Tensor
    texts: Sequence[str]
    spelling: Tensor
    places: Mapping[str, int]
    rows: Callable[[str], tuple[int, ...]]

    def vector(self, text: str) -> Tensor:
        own: Tensor = self.vectors[torch.tensor(self.rows(text))]
        return own.mean(0)

    def spellings(self, text: str) -> tuple[int, ...]:
        """Which spellings a typed word is made of."""
        found: list[int] = self.spelling[torch.tensor(self.rows(text))].tolist()
        return tuple(found)

    def own(self, text: str) -> set[int]:
        """Spellings that are no answer if the word is in the question: its pieces, and itself in any spelling."""
        whole = self.places.get(_key(text))
        return {*self.spellings(text), *(() if whole is None else (whole,))}

    @property
    def count(self) -> int:
        return len(self.places)

    def cosines(self, queries: Tensor) -> Tensor:
        """[queries, spellings] of queries [queries, d]: for each spelling that of its nearest row."""
        norms: Tensor = queries.norm(dim=1)[:, None] * self.norms
        each = (queries @ self.vectors.T) / norms.clamp_min(1e-12)
        found = torch.full((len(queries), self.count), -torch.inf)
        return found.scatter_reduce(1, self.spelling.expand(len(queries), -1), each, "amax")

    def label(self, spelling: int, query: Tensor) -> str:
        """What that row of the spelling reads which is nearest to query [d]."""
        rows = (self.spelling == spelling).nonzero()[:, 0]
        return self.texts[int(rows[(self.vectors[rows] @ query / self.norms[rows].clamp_min(1e-12)).argmax()])]


def space(engine: Engine, name: str, words: Sequence[str], layer: int) -> Space:
    """The space called `name`; `words` are the candidates where not a whole vocabulary is. Raises InputError."""
    if name == "table":
        texts = [engine.token_text(token) for token in range(engine.tokenizer.vocabulary)]
        return _spelt(embedding_table(engine), texts, lambda text: word(engine, text, "a word").ids)
    if name == "GloVe":
        rows, vectors = glove()
        return _spelt(vectors, list(rows), lambda text: (_known(rows, text),))
    names = list(dict.fromkeys(words))
    if name == "listed words":
        vectors = torch.stack([word(engine, text, "a word").vector for text in names])
    else:
        vectors = states(engine, layer, "The word", names)
    return _spelt(vectors, names, lambda text: (names.index(text.strip()),))


def _key(text: str) -> str:
    return text.strip().casefold()


def _spelt(vectors: Tensor, texts: Sequence[str], rows: Callable[[str], tuple[int, ...]]) -> Space:
    """The space of rows that read `texts`; spaces around a word and capitals make no other spelling of it."""
    places: dict[str, int] = {}
    spelling = torch.tensor([places.setdefault(_key(text), len(places)) for text in texts])
    return Space(vectors, vectors.norm(dim=1), texts, spelling, places, rows)


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
            found[torch.tensor([row for row, _ in batch])] = torch.as_tensor(acts[point][:, -1])
    return found


def ranked(scores: Tensor, index: int, without: Collection[int] = ()) -> int:
    """The place of `index` among scores [candidates], 1 the highest, leaving out `without`."""
    higher = scores > scores[index]
    return 1 + int(higher.sum()) - sum(bool(higher[i]) for i in set(without) - {index})


def _known(rows: dict[str, int], text: str) -> int:
    if text.strip().lower() not in rows:
        raise InputError(f"GloVe has no vector for {text!r}", "Type a common English word.")
    return rows[text.strip().lower()]
