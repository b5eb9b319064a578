"""What is timed: an answer token by token, passes over more and more tokens, one token for many texts at once, and one
token behind more and more others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import Timing, timed
from llm_holes.engine.model.cache import ContiguousCache

FEW, SIXTEEN = (1, 4, 8), 16
FIRST_CONTEXT = 64
FOUR = 4
LONGEST_AGAIN = 640
"""Tokens of what is read again and again, at most."""
OFTEN, SELDOM = 5, 3
LITTLE = 8
"""Tokens in a pass, at most, that is timed often: one of more takes long itself."""
LONG = 2000
"""Tokens of context behind which a step is timed less often."""


@dataclass
class Answer:
    """A prompt that is read, how long that took each time, the tokens written behind it, and how long each took."""

    prompt: list[int]
    reading: list[float] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    writing: list[float] = field(default_factory=list)

    @property
    def read(self) -> Timing:
        return Timing.of(self.reading)


@dataclass
class Times:
    """What was timed so far: passes by their tokens, single tokens by the texts in a pass and by the context."""

    answers: list[Answer]
    passes: dict[int, Timing] = field(default_factory=dict)
    batches: dict[int, Timing] = field(default_factory=dict)
    steps: dict[int, Timing] = field(default_factory=dict)


def two_prompts(engine: Engine, prompt: list[int], new_tokens: int) -> list[Answer]:
    """The prompt, and the same four times; if that were too long, its first quarter."""
    room = min(LONGEST_AGAIN, engine.model.config.n_ctx - new_tokens - 1)
    other = prompt * FOUR if FOUR * len(prompt) <= room else prompt[: max(len(prompt) // FOUR, 1)]
    return [Answer(prompt), Answer(other)]


def answering(engine: Engine, answer: Answer, new_tokens: int) -> Iterator[None]:
    """Reads the prompt in one go, then writes token by token, end token or not; a pause after each pass."""
    cache = ContiguousCache(engine.model.config, len(answer.prompt) + new_tokens + 1)
    logits, ms = timed(last_logits, engine.model, answer.prompt, cache)
    answer.reading.append(ms)
    answer.written.append(int(logits.argmax()))
    yield
    for _ in range(new_tokens):
        logits, ms = timed(last_logits, engine.model, answer.written[-1:], cache)
        answer.written.append(int(logits.argmax()))
        answer.writing.append(ms)
        yield


def read_again(engine: Engine, answers: Sequence[Answer]) -> None:
    """Reads the prompts in turn."""
    for done in range(1, OFTEN):
        for answer in answers:
            if done < repeats_for(len(answer.prompt)):
                cache = ContiguousCache(engine.model.config, len(answer.prompt))
                answer.reading.append(timed(last_logits, engine.model, answer.prompt, cache)[1])


def repeats_for(tokens: int) -> int:
    """How often a pass over this many tokens is timed."""
    return OFTEN if tokens <= LITTLE else SELDOM if tokens <= LONGEST_AGAIN else 1


def a_pass(engine: Engine, ids: list[int]) -> Callable[[], object]:
    """One pass over the ids, logits for the last."""
    given = torch.tensor([ids])
    return lambda: engine.model.forward(given, logits_to_keep=1)


def a_step(engine: Engine, cache: ContiguousCache, length: int) -> Callable[[], object]:
    """One token behind the first `length` of those that the cache holds, for which it has room."""

    def work() -> None:
        cache.length = length
        last_logits(engine.model, [0], cache)

    return work


def up_to(first: int, last: int, factor: int) -> list[int]:
    """first, first × factor, … and last."""
    found = [first * factor**n for n in range(24) if first * factor**n < last]
    return [*found, last]


def doubled(passes: Mapping[int, Timing]) -> float:
    """At how many tokens, between those timed, a pass takes twice as long as over one; 0 if none does."""
    goal = 2 * passes[1].fastest
    for (n, before), (m, after) in pairwise(passes.items()):
        if after.fastest >= goal:
            return n + (m - n) * (goal - before.fastest) / (after.fastest - before.fastest)
    return 0.0
