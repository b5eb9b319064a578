"""A model on an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import msgspec

from llm_holes.engine.backends.backend import Ask, Called, Capability, Ended, Likely, Message, Piece, Reason, most
from llm_holes.engine.backends.chances import Prompt, told
from llm_holes.engine.backends.said import Said, read, typed
from llm_holes.engine.backends.stops import Stopping
from llm_holes.engine.backends.tokens_here import TokensHere
from llm_holes.engine.backends.ways import Way, Ways
from llm_holes.engine.backends.wire import NotCancelled, Refused, Wire
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.frames import Token

Dialect = Literal["", "llama.cpp", "vLLM"]
REASONS: Mapping[str, Reason] = {"stop": "end token", "length": "max tokens", "tool_calls": "tool call"}


@dataclass(frozen=True)
class HttpBackend:
    """`dialect` is how the server's tokenizer is spoken to, `here` a tokenizer on this machine in its place, or a
    sentence why there is none; `ways` is what the model was found to refuse of a request."""

    wire: Wire
    name: str
    capabilities: frozenset[Capability] = frozenset()
    dialect: Dialect = ""
    here: TokensHere | str = ""
    ways: Ways = field(default_factory=Ways)
    is_cancelled: Callable[[], bool] = field(default=NotCancelled)

    def cancellable(self, is_cancelled: Callable[[], bool]) -> HttpBackend:
        return replace(self, is_cancelled=is_cancelled)

    @property
    def tokens_by(self) -> str:
        return self.here.by if isinstance(self.here, TokensHere) else ""

    @property
    def about_tokens(self) -> str:
        return self.here.about if isinstance(self.here, TokensHere) else self.here

    def together(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Piece | Ended]]:
        """What a model refuses of a request it is not sent again, once the refusal says which field that is."""
        learnt: list[Way] = []
        while True:
            begun = False
            try:
                for part in self._once(asks):
                    begun = True
                    yield part
                return
            except Refused as error:
                way = None if begun else self.ways.learn(error.status, error.field, [*map(self.body, asks)])
                if way is None:
                    self.ways.forget(learnt)
                    raise
                learnt.append(way)

    def _once(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Piece | Ended]]:
        path = "completions" if asks and isinstance(asks[0].prompt, str) else "chat/completions"
        answers = [_Growing(() if self.ways.stops else ask.stop) for ask in asks]
        for number, data, ms in self.wire.events(self._at(path), [self.body(a) for a in asks], self.is_cancelled):
            for piece in answers[number].take(read(data), ms):
                yield number, piece
        for number, growing in enumerate(answers):
            for part in growing.ended():
                yield number, part

    def encode(self, text: str, specials: bool = False) -> tuple[Token, ...]:
        if isinstance(self.here, TokensHere):
            return self.here.encode(text, specials)
        if not self.dialect:
            raise InputError("this server cuts no text into tokens for others")
        return (self._llama_tokens if self.dialect == "llama.cpp" else self._vllm_tokens)(text, specials)

    def rendered(self, messages: Sequence[Message]) -> str:
        url, given = self.wire.address.root, {"model": self.name, "messages": list(messages)}
        if self.dialect == "llama.cpp":
            return typed(self.wire.post(f"{url}/apply-template", given, self.is_cancelled), _Rendered).prompt
        body = given | {"add_generation_prompt": True, "return_token_strs": True}
        said = typed(self.wire.post(f"{url}/tokenize", body, self.is_cancelled), _VllmTokens)
        return b"".join(map(_bytes_of, said.token_strs or [])).decode("utf-8", "replace")

    def chances(self, prompt: Prompt) -> tuple[Likely, ...]:
        return told(self, prompt)

    def said(self, body: Mapping[str, Any], path: str = "completions") -> Said:
        """A whole answer."""
        return read(self.wire.post(self._at(path), body, self.is_cancelled))

    def body(self, ask: Ask) -> dict[str, Any]:
        """The request as the server reads it, with nothing in it that it does not understand."""
        text = isinstance(ask.prompt, str)
        body: dict[str, Any] = {
            "model": self.name,
            "max_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "stream": True,
            ("prompt" if text else "messages"): ask.prompt if text else list(ask.prompt),
        }
        if "usage" in self.capabilities:
            body["stream_options"] = {"include_usage": True}
        if ask.seed is not None and "seed" in self.capabilities:
            body["seed"] = ask.seed
        if ask.stop:
            body["stop"] = list(ask.stop)
        if ask.tools and "tools" in self.capabilities:
            body["tools"] = list(ask.tools)
        if top := min(ask.top, most(self.capabilities)):
            body |= {"logprobs": top} if text else {"logprobs": True, "top_logprobs": top}
        return self.ways.fitted(body)

    def _at(self, path: str) -> str:
        return f"{self.wire.address.url}/{path}"

    def _llama_tokens(self, text: str, specials: bool) -> tuple[Token, ...]:
        body = {"content": text, "with_pieces": True, "parse_special": specials, "add_special": False}
        said = typed(self.wire.post(f"{self.wire.address.root}/tokenize", body, self.is_cancelled), _LlamaTokens)
        return tuple(
            Token(one.id, one.piece.encode() if isinstance(one.piece, str) else bytes(one.piece)) for one in said.tokens
        )

    def _vllm_tokens(self, text: str, specials: bool) -> tuple[Token, ...]:
        body = {"model": self.name, "prompt": text, "add_special_tokens": False, "return_token_strs": True}
        said = typed(self.wire.post(f"{self.wire.address.root}/tokenize", body, self.is_cancelled), _VllmTokens)
        names = said.token_strs or [""] * len(said.tokens)
        return tuple(Token(i, _bytes_of(name)) for i, name in zip(said.tokens, names, strict=True))


class _LlamaToken(msgspec.Struct):
    id: int
    piece: str | list[int]


class _LlamaTokens(msgspec.Struct):
    tokens: list[_LlamaToken]


class _Rendered(msgspec.Struct):
    prompt: str


class _VllmTokens(msgspec.Struct):
    tokens: list[int]
    token_strs: list[str] | None = None


class _Growing:
    """An answer of which events come in."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stopping = Stopping(stops)
        self._reason: Reason | None = None
        self._said = Said()
        self._ms = 0.0
        self._calls: dict[int, Called] = {}

    def take(self, said: Said, ms: float) -> Iterator[Piece]:
        """What there is to read or to count in the event, and in those that were held back."""
        self._ms = ms
        self._said.usage = said.usage or self._said.usage
        self._said.timings = said.timings or self._said.timings
        if not said.choices:
            return
        choice = said.choices[0]
        if choice.finish_reason:
            self._reason = REASONS.get(choice.finish_reason, "end token")
        for call in (choice.delta.tool_calls or []) if choice.delta else []:
            before = self._calls.get(call.index, Called("", ""))
            name, more = call.function.name or "", call.function.arguments or ""
            self._calls[call.index] = Called(before.name + name, before.arguments + more)
        text = choice.text or (choice.delta.content if choice.delta else "") or ""
        tokens = choice.logprobs.written() if choice.logprobs else ()
        if text or tokens:
            yield from self._stopping.take(Piece(text, tokens, ms))

    def ended(self) -> Iterator[Piece | Ended]:
        """What was held back, and the end."""
        if self._reason is None:
            raise ModelError("The server's answer broke off before its end.", "Try it again.")
        usage, timings = self._said.usage, self._said.timings
        yield from self._stopping.rest()
        yield Ended(
            "tool call" if self._calls else "end token" if self._stopping.ended else self._reason,
            self._ms,
            usage.prompt_tokens if usage else None,
            usage.completion_tokens if usage else None,
            usage.prompt_tokens_details.cached_tokens if usage and usage.prompt_tokens_details else None,
            tuple(self._calls.values()),
            (timings.prompt_ms, timings.predicted_ms) if timings else None,
        )


def _bytes_of(name: str) -> bytes:
    """A token's bytes from its name in a vocabulary of bytes (`Ġthe`), or of SentencePiece (`▁the`)."""
    if all(character in _BYTES for character in name):
        return bytes(_BYTES[character] for character in name)
    return name.replace("▁", " ").encode()


def _byte_names() -> dict[str, int]:
    """GPT-2's names of bytes: those that print are themselves, the others follow from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + n): b for n, b in enumerate(others)}


_BYTES = _byte_names()
