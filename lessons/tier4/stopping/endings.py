"""The same answer, ended by whatever can end one: its own end token, a limit, a stop string, a full context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Table
from llm_holes.engine.generation.generate import Limits, Step
from llm_holes.engine.numbers import count, plural
from llm_holes.engine.spelling import spelt

Write = Callable[[Engine, Limits], Iterator[Step]]

REPLACED = "\ufffd"
"""What a token reads that holds only a part of a character."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What stood in the way of an answer, and the answer up to there; without steps, nothing could be written."""

    limit: str
    steps: tuple[Step, ...]

    @property
    def reason(self) -> str:
        return self.steps[-1].stop_reason or "" if self.steps else "no room"

    @property
    def text(self) -> str:
        return "".join(step.text for step in self.steps)


def holding(engine: Engine, tokens: int) -> Engine:
    """The same model with a context of so many tokens, no more than its own."""
    config = structs.replace(engine.model.config, n_ctx=min(tokens, engine.model.config.n_ctx))
    return replace(engine, model=replace(engine.model, config=config))


def endings(
    engine: Engine, write: Write, natural: Sequence[Step], prompt_tokens: int, stop: str, context: int
) -> Iterator[Ending]:
    """The answer as it is set, and ended half-way by each of the others, one after the other."""
    yield Ending("as you set it", tuple(natural))
    half, most = max(len(natural) // 2, 1), len(natural)
    yield Ending(f"at most {plural(half, 'token')}", tuple(write(engine, Limits(half))))
    stop = stop or astride(engine, [step.token for step in natural])
    if stop and natural[-1].stop_reason != "stop string":
        yield Ending(f"stop string {spelt(stop)}", tuple(write(engine, Limits(most, stop_strings=(stop,)))))
    fits = prompt_tokens < context
    steps = tuple(write(holding(engine, context), Limits(most))) if fits else ()
    yield Ending(f"a context of {count(context)}", steps)


def astride(engine: Engine, answer: Sequence[int]) -> str:
    """A text across the border of two tokens of the answer, which ends inside the second; "" if there is none."""
    pieces = [engine.token_text(token) for token in answer if token not in engine.tokenizer.special_ids]
    for left, right in zip(pieces[len(pieces) // 3 :], pieces[len(pieces) // 3 + 1 :], strict=False):
        if len(right) > 3 and right[:3].strip() and left.strip() and REPLACED not in left + right[:3]:
            return left[-1] + right[:3]
    return ""


def what_ends_it(found: Sequence[Ending], prompt_tokens: int) -> Table:
    """Each ending with what the reader gets to see."""
    full = f"nothing: the prompt alone has {plural(prompt_tokens, 'token')}"
    rows = tuple(
        (ending.limit, ending.reason, len(ending.steps), spelt(ending.text) if ending.steps else full)
        for ending in found
    )
    return Table("one answer, ended in several ways", ("limit", "ended by", "tokens", "what you read"), rows)
