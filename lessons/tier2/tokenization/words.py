"""Words in pieces, as they are spelt, and each beside its longest match. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from llm_holes.engine.frames import Scalar, Table

SHOWN_WORDS = 24
EXAMPLES = "The pothole by the seashore is unthinkable. "
"""Words of which the longest match cuts some differently, with most tokenizers."""


def word_table(words: Sequence[bytes], cuts: Sequence[Sequence[bytes]], longest: Sequence[Sequence[bytes]]) -> Table:
    """The words where the longest match is wrong first, then the others."""
    real, other = [joined(cut) for cut in cuts], [joined(cut) for cut in longest]
    order = sorted(range(len(words)), key=lambda i: real[i] == other[i])[:SHOWN_WORDS]
    rows: tuple[tuple[Scalar, ...], ...] = tuple(
        (spelt(words[i]), real[i], other[i], "not the same" if real[i] != other[i] else "") for i in order
    )
    return Table("each word as it is really cut, and by longest match", ("word", "real cut", "longest match", ""), rows)


def joined(pieces: Sequence[bytes]) -> str:
    return "|".join(spelt(piece) for piece in pieces)


def spelt(data: bytes) -> str:
    """The piece as text, its spaces to be seen, or its bytes where it is no text by itself."""
    try:
        return data.decode().replace(" ", "·").replace("\n", "⏎").replace("\t", "⇥")
    except UnicodeDecodeError:
        return data.hex(" ")
