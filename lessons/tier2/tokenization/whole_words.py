"""A vocabulary of whole words, made of a text: how long it gets, and what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_holes.engine.frames import Curve, series


@dataclass(frozen=True, slots=True)
class WholeWords:
    """The words of a text that a list is made of, in order, and those of the learner's text; capitals count as small
    letters, which makes the list shorter than it would be."""

    listed: tuple[str, ...]
    asked: tuple[str, ...]

    @classmethod
    def of(cls, listed: Sequence[bytes], asked: Sequence[bytes]) -> WholeWords:
        return cls(_words(listed), _words(asked))

    @property
    def vocabulary(self) -> frozenset[str]:
        return frozenset(self.listed)

    @property
    def missing(self) -> list[str]:
        return [word for word in self.asked if word not in self.vocabulary]

    @property
    def late(self) -> int:
        """How many words the last tenth of the text added."""
        tenth = -(-len(self.listed) // 10)
        return len(self.vocabulary) - len(frozenset(self.listed[: len(self.listed) - tenth]))


def list_measured(found: WholeWords) -> dict[str, Any]:
    """What is said of the list, and of what it lacks."""
    return {
        "listed_words": len(found.listed),
        "listed_vocabulary": len(found.vocabulary),
        "listed_letters": len(frozenset().union(*found.listed)),
        "listed_late": found.late,
        "text_words": len(found.asked),
        "text_words_missing": len(found.missing),
        "missing_word": next(iter(found.missing), ""),
    }


def growth(found: WholeWords, where: str) -> Curve:
    """Different words, and different letters, among the first 1, 2, 3 … words."""
    words: set[str] = set()
    letters: set[str] = set()
    sizes: list[tuple[int, int]] = [(0, 0)]
    for word in found.listed:
        words.add(word)
        letters.update(word)
        sizes.append((len(words), len(letters)))
    at = range(len(sizes))
    lines = (series("words", at, [size[0] for size in sizes]), series("letters", at, [size[1] for size in sizes]))
    return Curve(f"in {where}", lines, "words read", "different ones so far")


def _words(pieces: Sequence[bytes]) -> tuple[str, ...]:
    """The pieces of the first cut that have a letter, without their spaces."""
    texts = (piece.decode("utf-8", "replace").strip().lower() for piece in pieces)
    return tuple(text for text in texts if any(character.isalpha() for character in text))
