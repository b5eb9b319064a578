"""An answer that ends before a text, where the server does not end it there itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from llm_holes.engine.backends.backend import Piece, Written


class Stopping:
    """Pieces are held back while a stop text may have begun in them; after one, nothing comes."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held: list[Piece] = []
        self.ended = False

    def take(self, piece: Piece) -> Iterator[Piece]:
        """The pieces that may be shown now."""
        if self.ended:
            return
        self._held.append(piece)
        text = "".join(one.text for one in self._held)
        places = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if places:
            self.ended = True
            self._held = [*_before(self._held, min(places))]
        if self.ended or not any(text.endswith(stop[:n]) for stop in self._stops for n in range(1, len(stop))):
            yield from self.rest()

    def rest(self) -> Iterator[Piece]:
        """What is still held back."""
        held, self._held = self._held, []
        yield from held


def _before(pieces: Sequence[Piece], end: int) -> Iterator[Piece]:
    """The pieces up to this character of their text, with the tokens that are whole before it."""
    for piece in pieces:
        if end <= 0:
            return
        tokens: list[Written] = []
        left = end
        for written in piece.tokens:
            left -= len(written.token.text)
            if left >= 0:
                tokens.append(written)
        yield replace(piece, text=piece.text[:end], tokens=tuple(tokens))
        end -= len(piece.text)
