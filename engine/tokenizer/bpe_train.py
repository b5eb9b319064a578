"""Where a vocabulary comes from: count neighbouring pairs, make the most frequent one a piece, count again.

Source: Sennrich et al. 2016, on bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Learnt:
    """One new piece: the pair it is made of, how often the pair was in the text, and the text's length in pieces
    afterwards."""

    left: bytes
    right: bytes
    count: int
    pieces: int


def train(words: Iterable[bytes], merges: int) -> Iterator[Learnt]:
    """Up to `merges` new pieces, fewer when no pair is left that occurs twice. Of equal pairs the first by bytes."""
    texts = [([bytes([byte]) for byte in word], count) for word, count in Counter(words).items()]
    for _ in range(merges):
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for pieces, count in texts:
            for pair in pairwise(pieces):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < 2:
            return
        for pieces, _ in texts:
            merge(pieces, *best)
        yield Learnt(*best, pairs[best], sum(len(pieces) * count for pieces, count in texts))


def merge(pieces: list[bytes], left: bytes, right: bytes) -> None:
    """Joins every `left` that has a `right` after it, from the left, in place."""
    at = 0
    while at < len(pieces) - 1:
        if pieces[at] == left and pieces[at + 1] == right:
            pieces[at : at + 2] = [left + right]
        at += 1
