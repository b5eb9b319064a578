"""How often a model's first answer is a call: seeded samplings of one prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_holes.engine.generation.grammar import Constraint
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.call_grammar import any_call_grammar, call_grammar
from llm_holes.engine.harness.calls import Call, parse
from llm_holes.engine.harness.loop import Harness
from llm_holes.engine.harness.tools import Result, run_tool
from llm_holes.engine.harness.write import write


@dataclass(frozen=True, slots=True)
class Trial:
    """What one sampling gave: its text, cut where it could no longer become a call; and the tool's result, None if it
    was no call of a tool with fitting arguments."""

    text: str
    result: Result | None

    @property
    def valid(self) -> bool:
        return self.result is not None

    @property
    def ran(self) -> bool:
        """Whether the tool could do something with the arguments."""
        return self.result is not None and not self.result.refused


def trial(harness: Harness, prompt: Sequence[int], params: SamplingParams, constrained: bool) -> Trial:
    """One answer to `prompt`, read and run. A free answer is given up at the first token that rules out a call."""
    grammar = call_grammar if constrained else any_call_grammar
    state = Constraint(harness.tokenizer, grammar(harness.tools), harness.d_vocab)
    bounds = harness.bounds
    limit = min(bounds.tokens if constrained else bounds.answer_tokens, bounds.context - len(prompt))
    text = ""
    steps = write(harness.model, harness.tokenizer, prompt, params, limit, state if constrained else None)
    for step in steps:
        text += step.text
        if not constrained and step.stop is None and not state.whole and not state.takes(step.token):
            text += " …"
            break
    found = parse(text, harness.tools)
    return Trial(text, run_tool(found.tool, found.arguments) if isinstance(found, Call) else None)
