"""How a token or a piece of text is spelt where it is named: in captions, titles, tables, labels and comparisons."""

from __future__ import annotations

MARKS = str.maketrans({"\n": "⏎", "\t": "⇥"})


def spaced(text: str) -> str:
    """The text in one line, its spaces at both ends, which belong to it, as ·."""
    line = text.translate(MARKS)
    inner = line.strip(" ")
    if not inner:
        return "·" * len(line)
    start = line.index(inner)
    return "·" * start + inner + "·" * (len(line) - start - len(inner))


def spelt(text: str) -> str:
    """The text as it stands in a sentence: in quotes only if it could be taken for a part of that sentence, because it
    has several words, or no letter or digit, or nothing at all."""
    shown = spaced(text)
    bare = shown.strip("·")
    plain = " " not in bare and any(character.isalnum() for character in bare)
    return shown if plain or (shown and not bare.strip("⏎⇥")) else f"“{shown}”"


def in_sentence(text: str) -> str:
    """A measured text as a lesson's sentence has it: one token with its spaces as ·, a longer text without those
    around it."""
    outer = text.strip()
    return spaced(text) if " " not in outer else spaced(outer)
