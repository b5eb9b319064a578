"""What several lessons ask of a model behind an API, and how they show it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from llm_holes.engine.backends.backend import Answer, Backend, Likely, Message, Written
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.frames import Token
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spelt

NO_ID = -1
"""The id of a token of which a server tells only the text."""
ENDS = ("", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "</s>", "<eos>", "<end_of_turn>")
"""What tokens read that end an answer; some servers let them read nothing."""
END = "the end"


def talk(*said: str) -> tuple[Message, ...]:
    """Messages of user and assistant in turn."""
    return tuple({"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said))


def prompt_for(backend: Backend, text: str, chat: bool) -> str | tuple[Message, ...]:
    """The text as a message, or as it is: with what the server has, if it has only one of the two. Raises InputError if
    there is none."""
    if not text:
        raise InputError("there is no text to run on", "Type at least one character.")
    messages = chat or "completions" not in backend.capabilities
    return talk(text) if messages and "chat" in backend.capabilities else text


def whole_prompt(backend: Backend, text: str, chat: bool) -> str | None:
    """All that the model is given, as a text that can be gone on with; None where the server does not say it."""
    prompt = prompt_for(backend, text, chat)
    if isinstance(prompt, str):
        return prompt
    if {"template", "completions"} <= backend.capabilities:
        return backend.rendered(prompt)
    return None


def cut_by(backend: Backend, title: str, otherwise: str = "") -> str:
    """The title of a picture of tokens, which says whose they are where that is not certain; else `otherwise`, or the
    title as it is."""
    return f"{title} by {backend.tokens_by}" if backend.tokens_by else otherwise or title


def is_end(likely: Likely) -> bool:
    return likely.text in ENDS


def name_of(likely: Likely) -> str:
    return likely.text or END


def token_of(likely: Likely, note: str = "") -> Token:
    return Token(NO_ID if likely.id is None else likely.id, likely.data, note)


def any_of(written: Sequence[Written]) -> Sequence[Written]:
    """What was written. Raises ModelError if that is nothing: a model may end its answer at once, and a server need not
    tell the token that does it."""
    if not written:
        raise ModelError(
            "The model ended its answer at once, and its server tells no token of it.", "Try another text."
        )
    return written


def strip(written: Sequence[Written]) -> tuple[Token, ...]:
    """The tokens, each with its chance as a note."""
    return tuple(token_of(one.token, percent(one.token.p)) for one in written)


def named(likely: Likely) -> str:
    return spelt(name_of(likely))


def same(one: Likely, other: Likely) -> bool:
    """Whether both are one token; without ids, one text."""
    return one.id == other.id if one.id is not None and other.id is not None else one.data == other.data


def chance_of(token: Likely, told: Sequence[Likely]) -> float:
    """Its chance among those that were told; 0 if it was not."""
    return next((likely.p for likely in told if same(likely, token)), 0.0)


def gaps(given: Answer) -> list[float]:
    """Milliseconds from one piece to the next, of one request."""
    return [after.ms - before.ms for before, after in pairwise(given.pieces) if after.ms >= before.ms]


def counts(found: Mapping[str, int | None]) -> dict[str, int]:
    """Those that are known."""
    return {name: value for name, value in found.items() if value is not None}
