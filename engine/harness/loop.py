"""The harness: let the model write, read what it wrote, run the tool it asks for, append the result, go on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from llm_holes.engine.generation.grammar import Constraint
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.call_grammar import call_grammar
from llm_holes.engine.harness.calls import Call, Fault, parse
from llm_holes.engine.harness.events import (
    CallParsed,
    Event,
    PromptFed,
    Stopped,
    StopReason,
    TokenWritten,
    ToolReturned,
)
from llm_holes.engine.harness.prompt import Message, Piece, continuation, ids_of, pieces
from llm_holes.engine.harness.tools import Result, Tool, as_data, run_tool
from llm_holes.engine.harness.write import LanguageModel, Written, write
from llm_holes.engine.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Bounds:
    """When the software ends it: after this many answers, tokens of one answer or of all, seconds, or a full context. A
    call held in the grammar has no bound of its own: the grammar ends it."""

    context: int
    steps: int = 6
    answer_tokens: int = 64
    tokens: int = 512
    seconds: float = 120.0


@dataclass(frozen=True)
class Harness:
    """What stays the same in a conversation. The first `forced_calls` answers are held inside the grammar of a call."""

    model: LanguageModel
    tokenizer: Tokenizer
    d_vocab: int
    tools: tuple[Tool, ...]
    bounds: Bounds
    params: SamplingParams = field(default_factory=SamplingParams)
    forced_calls: int = 0

    def converse(self, messages: Sequence[Message]) -> Iterator[Event]:
        """Everything that happens, until an answer calls nothing or a bound is reached; the last event is Stopped.

        Raises Cancelled when the model's `is_cancelled` says so; whoever iterates may also just leave.
        """
        deadline = time.monotonic() + self.bounds.seconds
        given = pieces(self.tokenizer, messages)
        context: list[int] = []
        left = self.bounds.tokens
        for step in range(self.bounds.steps):
            yield PromptFed(tuple(given))
            context += ids_of(given)
            answer: list[Written] = []
            for written in self._answer(context, step, left):
                yield TokenWritten(written)
                answer.append(written)
                if time.monotonic() > deadline:
                    yield Stopped("time limit")
                    return
            context += [written.token for written in answer]
            left -= len(answer)
            if not answer or answer[-1].stop == "max tokens":
                yield Stopped(self._full(context))
                return
            found = parse("".join(written.text for written in answer), self.tools)
            yield CallParsed(found)
            if found is None:
                yield Stopped("answered")
                return
            result = _run(found)
            yield ToolReturned(result)
            given = self._given(answer[-1].token, result)
        yield Stopped("step limit")

    def _answer(self, context: Sequence[int], step: int, left: int) -> Iterator[Written]:
        room = min(left, self.bounds.context - len(context))
        constraint = None
        if step >= self.forced_calls:
            room = min(room, self.bounds.answer_tokens)
        else:
            constraint = Constraint(self.tokenizer, call_grammar(self.tools), self.d_vocab)
        params = replace(self.params, seed=self.params.seed + step)
        return write(self.model, self.tokenizer, context, params, room, constraint)

    def _given(self, last: int, result: Result) -> list[Piece]:
        """What follows a call: its end (unless the model wrote it), the result, and where the next answer begins."""
        added = continuation(self.tokenizer, [Message("tool", result.text)])
        if added[0].ids[0] == last:
            added[0] = replace(added[0], ids=added[0].ids[1:])
        return added

    def _full(self, context: Sequence[int]) -> StopReason:
        return "context full" if len(context) >= self.bounds.context else "token limit"


def _run(found: Call | Fault) -> Result:
    if isinstance(found, Fault):
        return Result(as_data(f"error: {found.why}"), refused=True)
    return run_tool(found.tool, found.arguments)
