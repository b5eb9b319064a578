"""The engine's own model as a backend, which a server with the same model has to equal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from llm_holes.engine.backends.backend import Ask, Capability, Ended, Likely, Message, Piece, Written
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Token
from llm_holes.engine.generation.generate import Limits, Step
from llm_holes.engine.generation.sampling import SamplingParams

CAN: frozenset[Capability] = frozenset(
    {
        "completions",
        "chat",
        "top 1",
        "top 5",
        "top 20",
        "top 1000",
        "tokenize",
        "template",
        "prompt chances",
        "ids",
        "greedy",
        "seed",
        "usage",
    }
)


@dataclass(frozen=True)
class LocalBackend:
    engine: Engine

    @property
    def name(self) -> str:
        return self.engine.info.name

    @property
    def tokens_by(self) -> str:
        return ""

    @property
    def about_tokens(self) -> str:
        return ""

    @property
    def capabilities(self) -> frozenset[Capability]:
        return CAN if self.engine.tokenizer.has_chat else CAN - {"chat", "template"}

    def cancellable(self, is_cancelled: Callable[[], bool]) -> LocalBackend:
        return replace(self, engine=self.engine.cancellable(is_cancelled))

    def encode(self, text: str, specials: bool = False) -> tuple[Token, ...]:
        return self.engine.tokens(self.engine.tokenizer.encode(text, specials=specials))

    def rendered(self, messages: Sequence[Message]) -> str:
        return self.engine.tokenizer.chat(messages)

    def together(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Piece | Ended]]:
        """One after the other: there is one model, and it does one thing at a time."""
        for number, ask in enumerate(asks):
            for part in self._one(ask):
                yield number, part

    def chances(self, prompt: str | Sequence[int]) -> tuple[Likely, ...]:
        ids = self.engine.encode(prompt) if isinstance(prompt, str) else list(prompt)
        p = self.engine.logits(ids).softmax(-1)
        of_next = p[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].tolist()
        return tuple(self._likely(i, q) for i, q in zip(ids, [1.0, *of_next], strict=True))

    def _one(self, ask: Ask) -> Iterator[Piece | Ended]:
        prompt, started = self._ids(ask), time.perf_counter()
        params = SamplingParams(temperature=ask.temperature, seed=ask.seed or 0)
        limits = Limits(ask.max_tokens, ask.stop, top=min(max(ask.top, 1), self.engine.model.config.d_vocab))
        for count, step in enumerate(self.engine.generate(prompt, params, limits), 1):
            ms = (time.perf_counter() - started) * 1e3
            ended = step.stop_reason == "end token"
            tokens = (self._written(step),) if ask.top else ()
            if step.text or tokens:
                yield Piece(step.text, tokens, ms)
            if step.stop_reason is not None:
                yield Ended("end token" if ended else "max tokens", ms, len(prompt), count)

    def _ids(self, ask: Ask) -> list[int]:
        if isinstance(ask.prompt, str):
            tokenizer = self.engine.tokenizer
            # as servers read a bare text: what names a control token is that token
            return self.engine.fits([*tokenizer.begin, *tokenizer.encode(ask.prompt, specials=True)], ask.max_tokens)
        return self.engine.fits(self.engine.tokenizer.chat_ids(ask.prompt), ask.max_tokens)

    def _written(self, step: Step) -> Written:
        return Written(self._likely(step.token, step.p), tuple(self._likely(i, q) for i, q in step.top))

    def _likely(self, token: int, p: float) -> Likely:
        return Likely(self.engine.tokenizer.token_bytes(token), p, token)
