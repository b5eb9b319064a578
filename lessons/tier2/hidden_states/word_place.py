"""Where a word stands in a text, and its states on the way through the layers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.interpret.logit_lens import residual_stream

WINDOW = 256
"""Positions kept of a long text: the word must be among the last of them."""
BEFORE = 3
"""Tokens before the word by which its text is called."""


@dataclass(frozen=True)
class Place:
    """A word in a text: the text's ids, the states [state, pos, d_model] of its last positions, and the word's own
    [state, d_model]. `found` is whether the word is there; if not, it is the text's last one instead. `name` is the
    word with what stands before it."""

    ids: list[int]
    stream: Tensor
    position: int
    own: Tensor
    found: bool
    name: str


def place(engine: Engine, text: str, word: str) -> Place:
    """Where the word is last in the text, in capitals or not: the token that ends it. Raises InputError."""
    ids = engine.encode(text, 1)
    pieces = [engine.tokenizer.token_bytes(i) for i in ids]
    # only ASCII letters have capitals among bytes, so that lengths stay as they are
    whole, typed = b"".join(pieces).lower(), word.strip().encode().lower()
    start = whole.rfind(typed) if typed else -1
    position = _at(pieces, start + len(typed)) if start >= 0 else _last_word(pieces)
    unseen = max(len(ids) - WINDOW, 0)
    if position < unseen:
        raise InputError(f"{word!r} comes too early in the text", f"It must be among the last {WINDOW} tokens.")
    stream = residual_stream(engine.model, ids, WINDOW)
    name = engine.tokenizer.decode(ids[max(position - BEFORE, 0) : position + 1])
    return Place(ids, stream, position, stream[:, position - unseen], start >= 0, name)


def _at(pieces: list[bytes], end: int) -> int:
    """The token in which byte number `end`, counted from 1, is."""
    position = 0
    while sum(map(len, pieces[: position + 1])) < end:
        position += 1
    return position


def _last_word(pieces: list[bytes]) -> int:
    """The last token with a letter or digit; in a text without, the last."""
    words = [n for n, piece in enumerate(pieces) if any(map(str.isalnum, piece.decode("utf-8", "ignore")))]
    return words[-1] if words else len(pieces) - 1
