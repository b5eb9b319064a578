"""A talk with a model behind an API whose calls are run: what was said and done, and what of it is published."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from llm_holes.engine.backends.backend import Answer
from llm_holes.engine.frames import Turn
from llm_holes.engine.harness import tools
from llm_holes.engine.harness.calls import Call, Fault
from llm_holes.lessons.tier1.tool_calls.given import BY_HAND

REFUSED = "refused, and says so to the model"


@dataclass
class Talk:
    """`found` is what its first answer was read as, `result` the last of a tool that ran."""

    turns: list[Turn] = field(default_factory=list)
    call_text: str = ""
    found: Call | Fault | None = None
    result: str = ""
    answer: str = ""
    tool_ms: float = 0.0
    ended: str = ""

    def runs(self, text: str, found: Call | Fault, by_hand: bool) -> str:
        """Runs what was called, or refuses: what the model is then told."""
        self.call_text, self.found = self.call_text or text, self.found or found
        if isinstance(found, Fault):
            result = tools.Result(tools.as_data(f"error: {found.why}"), refused=True)
        else:
            started = time.perf_counter()
            result = tools.run_tool(found.tool, found.arguments)
            self.tool_ms += 0.0 if by_hand else (time.perf_counter() - started) * 1e3
        self.result = result.text
        act = REFUSED if result.refused else BY_HAND if by_hand else "ran the tool"
        self.turns.append(Turn("software", act, result.text))
        return result.text

    def ends(self, why: str, answer: str = "") -> None:
        self.ended, self.answer = why, answer
        self.turns.append(Turn("software", f"stopped: {why}"))

    def measured(self) -> dict[str, Any]:
        return {
            "call_text": self.call_text,
            "call_parsed": isinstance(self.found, Call),
            "tool_result": self.result,
            "answer": self.answer,
            "answer_uses_result": bool(self.result) and self.result.casefold() in self.answer.casefold(),
            "tool_ms": self.tool_ms,
            "ended": self.ended,
        }


@dataclass(frozen=True, slots=True)
class Drawn:
    """A first answer that was drawn: its text, whether it is a call, and whether the tool could do something with
    it."""

    text: str
    is_call: bool
    ran: bool


def drawn(said: Answer, found: Call | Fault | None, text: str) -> Drawn:
    result = tools.run_tool(found.tool, found.arguments) if isinstance(found, Call) else None
    return Drawn(text or said.text, result is not None, result is not None and not result.refused)


Steps = Iterator[None]
"""A talk that goes on: between its steps it can be shown."""


def called(name: str, arguments: str, given: Sequence[tools.Tool]) -> Call | Fault:
    """The tool that is called by name with its arguments, checked by the tool's own types; or why nothing can be."""
    tool = next((tool for tool in given if tool.name == name), None)
    if tool is None:
        return Fault(f"there is no tool {name[:40]!r}")
    try:
        return Call(tool, msgspec.json.decode(arguments or "{}", type=tool.arguments))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return Fault(str(error))


def described(given: Sequence[tools.Tool]) -> tuple[Mapping[str, Any], ...]:
    return tuple({"type": "function", "function": tool.described()} for tool in given)
