"""What servers answer, as far as it is read: OpenAI's two kinds of answer in the dialects of llama.cpp and vLLM."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from llm_holes.engine.backends.backend import Likely, Written
from llm_holes.engine.errors import ModelError

T = TypeVar("T")
QUOTED = re.compile(r"['\"`]([a-z_]+)['\"`]")
NO_API = "Is the address that of an OpenAI-compatible server, with /v1 at its end?"


class Scored(msgspec.Struct):
    token: str = ""
    logprob: float | None = None
    bytes: list[int] | None = None
    id: int | None = None
    top_logprobs: list[Scored] = []

    def likely(self) -> Likely:
        given = self.bytes
        data = bytes(given) if given is not None and all(0 <= b < 256 for b in given) else self.token.encode()
        return Likely(data, chance(self.logprob), self.id)


class Logprobs(msgspec.Struct):
    """Of a place each: in `content`, or in the older form in three lists."""

    content: list[Scored] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None

    def written(self) -> tuple[Written, ...]:
        if self.content is not None:
            return tuple(
                Written(one.likely(), in_order(other.likely() for other in one.top_logprobs)) for one in self.content
            )
        tokens, logprobs = self.tokens or [], self.token_logprobs or []
        tops = self.top_logprobs or [None] * len(tokens)
        return tuple(
            Written(
                Likely(token.encode(), 1.0 if p is None else chance(p)),
                in_order(Likely(other.encode(), chance(q)) for other, q in (top or {}).items()),
            )
            for token, p, top in zip(tokens, logprobs, tops, strict=False)
        )


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    index: int = 0
    function: Function = msgspec.field(default_factory=Function)


class Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct):
    text: str | None = None
    message: Message | None = None
    delta: Message | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    prompt_logprobs: list[dict[str, Any] | None] | None = None


class Details(msgspec.Struct):
    cached_tokens: int | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None


class Timings(msgspec.Struct):
    prompt_ms: float = 0.0
    predicted_ms: float = 0.0


class Said(msgspec.Struct):
    """A whole answer, or one event of an answer that is streamed."""

    choices: list[Choice] = []
    usage: Usage | None = None
    timings: Timings | None = None
    error: Any = None


class Served(msgspec.Struct):
    """A model a server has."""

    id: str
    max_model_len: int | None = None
    meta: dict[str, Any] | None = None


class Models(msgspec.Struct):
    data: list[Served]


def read(text: str | bytes) -> Said:
    """Raises ModelError if it is no answer, or says that the server failed."""
    said = typed(text, Said)
    if said.error is not None:
        raise ModelError(f"The server failed in the middle of its answer: {complaint(text)}", "Try it again.")
    return said


def typed(text: str | bytes, kind: type[T]) -> T:
    """Raises ModelError if the text is something else."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        shown = text[:60] if isinstance(text, str) else text[:60].decode("utf-8", "replace")
        raise ModelError(f"The server's answer cannot be read ({error}): {shown!r}", NO_API) from None


def complaint(text: str | bytes) -> str:
    """What a server says is wrong, in a line."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = text if isinstance(text, str) else text.decode("utf-8", "replace")
    for name in ("error", "message", "detail"):
        if isinstance(found, Mapping) and name in found:
            found = found[name]
    line = " ".join(str(found).split())
    return line if len(line) <= 300 else f"{line[:299]}…"


def refused_field(text: bytes) -> str:
    """The field of a request that a refusal names: as OpenAI and FastAPI do it, or in quotes in a sentence."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found = None
    for path in (("error", "param"), ("param",), ("detail", 0, "loc", -1)):
        if isinstance(field := _at(found, path), str):
            return field
    quoted = QUOTED.search(complaint(text))
    return quoted[1] if quoted else ""


def _at(found: Any, path: Sequence[str | int]) -> Any:
    """What is there in parsed JSON, if it is."""
    try:
        for step in path:
            found = found[step]
    except (LookupError, TypeError):
        return None
    return found


def chance(logprob: float | None) -> float:
    """0..1; whatever is no logarithm of a chance is 0."""
    return math.exp(min(logprob, 0.0)) if logprob is not None and logprob == logprob else 0.0


def in_order(found: Any) -> tuple[Likely, ...]:
    """The likeliest first."""
    return tuple(sorted(found, key=lambda likely: -likely.p))
