"""Byte-pair encoding one merge at a time, to look at; and the longest match, which it is often taken for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from llm_holes.engine.tokenizer.bpe import BPE


@dataclass(frozen=True, slots=True)
class Merge:
    """Two neighbours became one: `rank` is the place of the pair in the list of merges, `pieces` the word after it."""

    rank: int
    left: int
    right: int
    token: int
    pieces: tuple[int, ...]


def steps(bpe: BPE, word: bytes) -> Iterator[Merge]:
    """The same merges one by one, looking at all pairs each time: for words a learner steps through."""
    pieces = bpe.spelt(word)
    while not bpe.whole(word):
        found = [(*bpe.merges[p], i) for i, p in enumerate(pairwise(pieces)) if p in bpe.merges]
        if not found:
            return
        rank, token, at = min(found)
        left, right = pieces[at : at + 2]
        pieces[at : at + 2] = [token]
        yield Merge(rank, left, right, token, tuple(pieces))


def longest_match(bpe: BPE, word: bytes) -> list[int]:
    """What BPE is often taken for: from the left, the longest piece that is in the vocabulary, and again."""
    ids: list[int] = []
    at = 0
    while at < len(word):
        ends = range(min(len(word), at + bpe.longest), at, -1)
        end = next((end for end in ends if word[at:end] in bpe.vocabulary), at)
        ids += [bpe.vocabulary[word[at:end]]] if end > at else []
        at = max(end, at + 1)
    return ids
