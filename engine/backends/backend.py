"""What a lesson may ask of a model it cannot look into: text to tokens, tokens with their chances, and timing.

A `Backend` is a model behind an interface: one on a server, or the engine's own. What it can do differs from server to
server and has names, so that a lesson can say which of them it needs. No torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from llm_holes.engine.frames import Token

Capability = Literal[
    "completions", "chat", "top 1", "top 5", "top 20", "top 1000", "tokenize", "template", "echo",
    "prompt chances", "ids", "greedy", "seed", "tools", "usage", "cached tokens",
]  # fmt: skip

MEANING: Mapping[Capability, str] = {
    "completions": "goes on with a bare text",
    "chat": "answers messages",
    "top 1": "says how likely each token was that it wrote",
    "top 5": "says the 5 likeliest tokens of each place",
    "top 20": "says the 20 likeliest tokens of each place",
    "top 1000": "says the 1,000 likeliest tokens of each place",
    "tokenize": "cuts a text into its tokens",
    "template": "says what its chat template makes of messages",
    "echo": "gives the prompt back with the chance of each of its tokens",
    "prompt chances": "says the chance of each token of the prompt",
    "ids": "says the chance of each token of a text that comes as the ids of any tokens",
    "greedy": "takes the likeliest token of each place if told so",
    "seed": "draws the same tokens for the same seed",
    "tools": "takes descriptions of tools",
    "usage": "counts the tokens of prompt and answer",
    "cached tokens": "says how many tokens of the prompt it had kept",
}

Message = Mapping[str, Any]
Reason = Literal["end token", "max tokens", "tool call"]


@dataclass(frozen=True, slots=True)
class Likely:
    """A token with its chance, 0..1. The `id` is None where a server does not say it; a token that ends the answer may
    have no `data`."""

    data: bytes
    p: float
    id: int | None = None

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Written:
    """A token that was written, and the likeliest ones of its place, in order."""

    token: Likely
    top: tuple[Likely, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """What came at once: some text, and its tokens if chances were asked for, that which ends the answer among them
    where it is told. `ms` have passed since the request."""

    text: str
    tokens: tuple[Written, ...]
    ms: float


@dataclass(frozen=True, slots=True)
class Called:
    """A tool the model wants to have called, with its arguments as it wrote them."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of an answer. What a server does not count is None. `server_ms` is what it says of its own time: reading
    the prompt, writing the answer."""

    reason: Reason
    ms: float
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    cached_tokens: int | None = None
    calls: tuple[Called, ...] = ()
    server_ms: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A request: a bare text or messages, and how to go on. `top` is how many of the likeliest tokens to tell of each
    place. At temperature 0 the likeliest is taken; a text in `stop` ends the answer before it."""

    prompt: str | tuple[Message, ...]
    max_tokens: int
    top: int = 0
    temperature: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    pieces: tuple[Piece, ...]
    ended: Ended

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def tokens(self) -> tuple[Written, ...]:
        return tuple(written for piece in self.pieces for written in piece.tokens)


class Backend(Protocol):
    """A model that can be asked. All methods raise Cancelled, and ModelError with a sentence where it fails."""

    @property
    def name(self) -> str:
        """What the model is called."""

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def tokens_by(self) -> str:
        """Whose tokens `encode` gives, in a few words, where they are not the model's own for certain; else empty."""

    @property
    def about_tokens(self) -> str:
        """The same in a sentence; where there are no tokens, why, and what would help, if that is known."""

    def cancellable(self, is_cancelled: Callable[[], bool]) -> Backend:
        """This one, whose requests are closed as soon as `is_cancelled` says so."""

    def encode(self, text: str, specials: bool = False) -> tuple[Token, ...]:
        """The tokens of a text; with `specials`, the names of control tokens in it are those tokens."""

    def rendered(self, messages: Sequence[Message]) -> str:
        """The whole text that the model is given of a talk, up to where its answer begins."""

    def together(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Piece | Ended]]:
        """The answers to several requests at once, as they come, each with the number of its request."""

    def chances(self, prompt: str | Sequence[int]) -> tuple[Likely, ...]:
        """The tokens of a text, or those with these ids, each with its chance after those before it; the first has
        chance 1."""


def stream(backend: Backend, ask: Ask) -> Iterator[Piece | Ended]:
    """One answer, as it comes."""
    for _, part in backend.together([ask]):
        yield part


def answer(backend: Backend, ask: Ask) -> Answer:
    """One answer, whole."""
    return gathered(stream(backend, ask))


def gathered(parts: Iterator[Piece | Ended]) -> Answer:
    pieces: list[Piece] = []
    for part in parts:
        if isinstance(part, Ended):
            return Answer(tuple(pieces), part)
        pieces.append(part)
    raise AssertionError("an answer ends with its end")


def score(backend: Backend, text: str, continuation: str, top: int) -> float:
    """The chance that the text goes on with exactly these tokens. Each is looked for among the `top` likeliest of its
    place; one that is not there counts as impossible. The backend must tell tokens and chances."""
    chance, written = 1.0, text
    for token in backend.encode(continuation):
        places = answer(backend, Ask(written, 1, top)).tokens
        chance *= next((one.p for one in places[0].top if one.data == token.data), 0.0) if places else 0.0
        if not chance:
            return 0.0
        written += token.data.decode("utf-8", "replace")
    return chance


DRAWN = (
    "This model takes no temperature 0, so that it cannot be told to take the likeliest token: it draws. The same "
    "question may be answered otherwise the next time, and what is compared here is not exact."
)
"""Of a backend that is not greedy."""


def most(capabilities: frozenset[Capability]) -> int:
    """How many of the likeliest tokens can be told of each place; 0 if no chances are told."""
    counts: dict[Capability, int] = {"top 1": 1, "top 5": 5, "top 20": 20, "top 1000": 1000}
    return max((count for name, count in counts.items() if name in capabilities), default=0)
