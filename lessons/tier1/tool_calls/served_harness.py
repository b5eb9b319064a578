"""Our own harness around a model behind an API: a call is text in a form that the system text asks for; we read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_holes.engine.backends.backend import Ask, Backend, answer
from llm_holes.engine.backends.backend import Message as Said
from llm_holes.engine.errors import ModelError
from llm_holes.engine.frames import Turn
from llm_holes.engine.harness.calls import parse
from llm_holes.engine.harness.prompt import Message
from llm_holes.engine.harness.tools import Tool
from llm_holes.engine.numbers import plural
from llm_holes.lessons.tier1.tool_calls.given import messages_of
from llm_holes.lessons.tier1.tool_calls.served_readings import NEEDED, Readings
from llm_holes.lessons.tier1.tool_calls.served_talk import Drawn, Steps, Talk, drawn


@dataclass(frozen=True)
class Ours:
    backend: Backend
    given: Sequence[Tool]
    p: Mapping[str, Any]
    readings: Readings

    def goes_on(self, talk: Talk) -> Steps:
        """The talk, as `engine.harness.loop` makes it with a model of our own."""
        messages = messages_of(self.given, self.p)
        system, *examples, message = messages
        talk.turns.append(self._folded("put in the system text", system.content))
        if examples:
            said = "\n".join(f"{one.role}: {one.content}" for one in examples)
            talk.turns.append(self._folded("put in the examples, written in advance", said))
        talk.turns.append(Turn("software", "put in the user's message", message.content))
        yield
        for _ in range(self.p["steps"]):
            asked = self._ask(messages)
            if isinstance(asked.prompt, str) and self.backend.capabilities >= NEEDED:
                self.readings.add(asked.prompt, messages)
            said_now = answer(self.backend, asked)
            talk.turns.append(self._wrote(said_now.text))
            if said_now.ended.reason == "max tokens":
                talk.ends("token limit")
                return
            found = parse(said_now.text, self.given)
            if found is None:
                talk.turns.append(Turn("software", "read it: no call, so this is the answer"))
                talk.ends("answered", said_now.text)
                return
            result = talk.runs(said_now.text, found, bool(self.p["result"]))
            messages += [Message("assistant", said_now.text, "model"), Message("tool", result)]
            yield
        talk.ends("step limit")

    def draw(self, temperature: float, seed: int) -> Drawn:
        said = answer(self.backend, self._ask(messages_of(self.given, self.p), temperature=temperature, seed=seed))
        return drawn(said, parse(said.text, self.given), said.text)

    def _folded(self, act: str, text: str) -> Turn:
        """An act that is not read at first; where the server cuts no text its size must do."""
        if "tokenize" in self.backend.capabilities:
            return Turn("software", act, tokens=self.backend.encode(text), folded=True)
        return Turn("software", act, plural(len(text), "character"))

    def _wrote(self, text: str) -> Turn:
        if "tokenize" in self.backend.capabilities:
            return Turn("model", "its turn", tokens=self.backend.encode(text))
        return Turn("model", "its turn", text)

    def _ask(self, messages: Sequence[Message], **others: Any) -> Ask:
        return Ask(self._prompt(messages), self.p["max_new_tokens"], **others)

    def _prompt(self, messages: Sequence[Message]) -> str | tuple[Said, ...]:
        """The whole text of the talk, where the server says it; else its messages, in which only the server's own tools
        have results."""
        if {"completions", "template"} <= self.backend.capabilities:
            try:
                return self.backend.rendered(_as_said(messages, "tool"))
            except ModelError:  # a template without that role
                return self.backend.rendered(_as_said(messages, "user"))
        return _as_said(messages, "user")


def _as_said(messages: Sequence[Message], of_tools: str) -> tuple[Said, ...]:
    return tuple({"role": of_tools if one.role == "tool" else one.role, "content": one.content} for one in messages)
