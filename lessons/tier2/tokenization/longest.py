"""The longest match, found out from outside: a piece is in a vocabulary if a server cuts it into one token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from llm_holes.engine.backends.backend import Backend
from llm_holes.engine.frames import Token

LONGEST = 64
"""Bytes of a word that is compared: a longer one takes a request for each of its pieces."""


class Compared(NamedTuple):
    """A word, as it is really cut and by longest match."""

    word: bytes
    real: list[bytes]
    longest: list[bytes]

    @property
    def differs(self) -> bool:
        return self.real != self.longest


def compared(backend: Backend, words: Sequence[bytes], tokens: Sequence[Token]) -> list[Compared]:
    """The words of a text, whole characters each, whose tokens these are."""
    cuts = [(word, pieces) for word, pieces in aligned(words, tokens) if len(word) <= LONGEST]
    longest = longest_matches(backend, [word.decode() for word, _ in cuts])
    return [Compared(word, real, other) for (word, real), other in zip(cuts, longest, strict=True)]


def longest_matches(backend: Backend, words: Sequence[str]) -> list[list[bytes]]:
    """Each word from the left in the longest pieces that are one token each. A character that is none is taken as the
    tokenizer cuts it."""
    found: list[list[bytes]] = [[] for _ in words]
    rests, known = list(words), dict[str, list[bytes]]()
    while any(rests):
        beginnings = dict.fromkeys(rest[:end] for rest in rests for end in range(1, len(rest) + 1))
        known |= _cut(backend, [text for text in beginnings if text not in known])
        for n, rest in enumerate(rests):
            if rest:
                ends = range(len(rest), 1, -1)
                end = next((end for end in ends if len(known[rest[:end]]) == 1), 1)
                found[n] += known[rest[:end]]
                rests[n] = rest[end:]
    return found


def aligned(words: Sequence[bytes], tokens: Sequence[Token]) -> Iterator[tuple[bytes, list[bytes]]]:
    """The words with the tokens of each; words that a token reaches across are one."""
    coming, word, pieces = iter(tokens), b"", list[bytes]()
    for more in words:
        word += more
        while sum(map(len, pieces)) < len(word):
            pieces.append(next(coming).data)
        if sum(map(len, pieces)) == len(word):
            yield word, pieces
            word, pieces = b"", []


def _cut(backend: Backend, texts: Sequence[str]) -> dict[str, list[bytes]]:
    """Each text in its tokens: in one request with a line for each, and in one of its own for each text that is cut
    together with the end of its line."""
    lined = [text for text in texts if text.strip() == text.lstrip(" ") and "\n" not in text and text.strip()]
    found: dict[str, list[bytes]] = {}
    if lined:
        tokens = [token.data for token in backend.encode("\n".join(lined))]
        at = dict(zip(accumulate(map(len, tokens), initial=0), range(len(tokens) + 1), strict=True))
        start = 0
        for text in lined:
            end = start + len(text.encode())
            if start in at and end in at and (end + 1 in at or text == lined[-1]):
                found[text] = tokens[at[start] : at[end]]
            start = end + 1
    return found | {text: [token.data for token in backend.encode(text)] for text in texts if text not in found}
