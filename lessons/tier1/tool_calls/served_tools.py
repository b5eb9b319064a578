"""A server's own tools: it is told which there are, says which one is to be called, and our software runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_holes.engine.backends.backend import Ask, Backend, Message, answer
from llm_holes.engine.backends.wire import Refused
from llm_holes.engine.frames import Turn
from llm_holes.engine.harness.tools import Tool
from llm_holes.lessons.tier1.tool_calls.served_talk import Drawn, Steps, Talk, called, described, drawn

ROOMY = 2
"""How many times as many tokens as set a server's call may take: it has marks around it that are not shown."""


@dataclass(frozen=True)
class Theirs:
    backend: Backend
    given: Sequence[Tool]
    p: Mapping[str, Any]

    def goes_on(self, talk: Talk) -> Steps:
        """The same message, without examples: the form of a call, and who reads it, is the server's affair."""
        names = "\n".join(tool.name for tool in self.given)
        talk.turns.append(Turn("software", "asked the same, without examples, with the server's own tools", names))
        messages = self._messages()
        for _ in range(self.p["steps"]):
            try:
                said = answer(self.backend, self._ask(messages))
            except Refused as error:
                talk.turns.append(Turn("software", "was refused by the server", str(error)))
                return
            if not said.ended.calls:
                talk.turns.append(Turn("model", "an answer, in which the server read no call", said.text))
                talk.ends("answered", said.text)
                return
            # one that wants several at once gets the first one's result first
            call = said.ended.calls[0]
            text = f"{call.name}({call.arguments})"
            talk.turns.append(Turn("model", "a call, which the server read", text))
            result = talk.runs(text, called(call.name, call.arguments, self.given), bool(self.p["result"]))
            messages += _call(f"call_{len(messages)}", call.name, call.arguments or "{}", result)
            yield
        talk.ends("step limit")

    def draw(self, temperature: float, seed: int) -> Drawn:
        said = answer(self.backend, self._ask(self._messages(), temperature=temperature, seed=seed))
        if not said.ended.calls:
            return drawn(said, None, said.text)
        call = said.ended.calls[0]
        return drawn(said, called(call.name, call.arguments, self.given), f"{call.name}({call.arguments})")

    def _messages(self) -> list[Message]:
        return [{"role": "user", "content": self.p["text"]}]

    def _ask(self, messages: Sequence[Message], **others: Any) -> Ask:
        return Ask(tuple(messages), ROOMY * self.p["max_new_tokens"], tools=described(self.given), **others)


def _call(number: str, name: str, arguments: str, result: str) -> list[Message]:
    """A call and its result as messages."""
    asked = {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": number, "content": result},
    ]
