"""Answers to one prompt until software is satisfied: each one is counted, and asked for again if it does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.harness.prompt import Message, continuation, ids_of
from llm_holes.engine.harness.speculative_verification import verify
from llm_holes.engine.harness.write import write
from llm_holes.lessons.tier2.skills.answer_check import Check

NOBODY, TELL, DRAW = "nobody", "count, tell it", "count, draw again"
TEMPERATURE = 0.7
"""Of the answers that are drawn again; the first is always the likeliest."""


@dataclass
class Attempt:
    """One answer. `added` are the tokens that the software put in before it; `fault` is what the count found."""

    added: tuple[int, ...] = ()
    ids: list[int] = field(default_factory=list)
    text: str = ""
    ended: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Answering:
    """How answers are made: `check` is None where nothing is counted, `how` says what happens to one that fails."""

    engine: Engine
    model: PrefixCachedModel
    check: Check | None
    how: str
    most: int
    new_tokens: int

    def attempts(self, prompt: Sequence[int]) -> Iterator[list[Attempt]]:
        """All answers so far, after every token. Raises Cancelled."""
        found: list[Attempt] = []
        context = list(prompt)
        for n in range(self.most if self.check else 1):
            told = self._told(found[-1]) if n and self.how == TELL else []
            context += [*found[-1].ids, *told] if told else []
            attempt = Attempt(tuple(told))
            found.append(attempt)
            for _ in self._written(attempt, context, n, found[:-1]):
                yield found
            attempt.fault = self.check.fault(attempt.text, attempt.ended) if self.check else ""
            yield found
            if not attempt.fault:
                return

    def _written(self, attempt: Attempt, context: Sequence[int], n: int, before: Sequence[Attempt]) -> Iterator[None]:
        drawn = n > 0 and self.how == DRAW
        params = SamplingParams(temperature=TEMPERATURE, seed=n) if drawn else SamplingParams()
        if before and not drawn:  # it often says the same again, which is read in one pass then
            verify(self.model, context, before[-1].ids)
        for one in write(self.model, self.engine.tokenizer, context, params, self.new_tokens):
            attempt.ids.append(one.token)
            attempt.text += one.text
            attempt.ended = one.stop == "end token"
            yield

    def _told(self, last: Attempt) -> list[int]:
        """What the software says to an answer that failed, with the marks around it."""
        assert self.check is not None
        text = f"Wrong: {last.fault}. Write exactly {self.check}."
        added = ids_of(continuation(self.engine.tokenizer, [Message("user", text)]))
        return added[1:] if last.ids and added[0] == last.ids[-1] else added
