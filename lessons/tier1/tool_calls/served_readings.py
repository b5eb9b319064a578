"""What each answer of a served model is made from, where all that is sent is one text that can be cut into tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_holes.engine.backends.backend import Backend, Capability
from llm_holes.engine.frames import Context, Contexts, Part
from llm_holes.engine.harness.prompt import Message
from llm_holes.lessons.tier1.tool_calls.given import GROUPS

NEEDED: frozenset[Capability] = frozenset({"completions", "template", "tokenize"})


@dataclass
class Readings:
    """Filled with the text before each answer, which has a part for each message."""

    backend: Backend
    read: list[tuple[Part, ...]] = field(default_factory=list)

    def add(self, text: str, messages: Sequence[Message]) -> None:
        self.read.append(tuple(self._parts(text, messages)))

    def view(self) -> Contexts:
        rows = [Context(f"for answer {n}", parts) for n, parts in enumerate(self.read, 1)]
        # behind the model's own answer there is the result only
        new = [Context(f"{n}, new in it", parts[-1:]) for n, parts in enumerate(self.read[1:], 2)]
        return Contexts("what the model was given to read, before each of its answers", (*rows, *new))

    def measured(self) -> dict[str, Any]:
        last = self.read[-1]
        new = last[-1:] if len(self.read) > 1 else last
        again = sum(part.tokens for part in last) - sum(part.tokens for part in new)
        return {
            "tokens_read_again": again,
            "tokens_new": sum(part.tokens for part in new),
            "readings": len(self.read),
        }

    def _parts(self, text: str, messages: Sequence[Message]) -> Iterator[Part]:
        """A part for each message, with the marks in front of it; the last has those after it too."""
        last_user = max(n for n, message in enumerate(messages) if message.role == "user")
        at = 0
        for n, message in enumerate(messages):
            found = text.find(message.content.strip(), at)
            # a template may have changed it: then its place is not known, and what follows has it
            end = len(text) if n == len(messages) - 1 else found + len(message.content.strip()) if found >= 0 else at
            role = "example" if n < last_user and message.role != "system" else message.role
            if end > at:
                size = len(self.backend.encode(text[at:end], specials=True))
                yield Part(GROUPS[role], size, GROUPS[role], text[at:end])
            at = end
