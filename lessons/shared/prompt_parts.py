"""A prompt cut into the texts it was put together from, counted in tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Part

Said = tuple[str, str]
"""A text, and what kind of text it is."""


def parts_of(engine: Engine, ids: Sequence[int], made_of: Iterable[Said]) -> tuple[Part, ...]:
    """The ids of the texts one after the other, cut between them; a token belongs to the text in which it begins."""
    parts: list[Part] = []
    left = iter(ids)
    room = 0
    for text, group in made_of:
        own: list[int] = []
        room += len(text.encode())
        while room > 0 and (token := next(left, None)) is not None:
            own.append(token)
            room -= len(engine.tokenizer.token_bytes(token))
        if own:
            parts.append(Part(group, len(own), group, engine.tokenizer.decode(own)))
    return tuple(parts)
