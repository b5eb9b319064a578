"""Messages as a template will have them: without a system role, in turns, or as plain text. Torch-free.

Gemma's templates and older ones of Mistral refuse a system message, and many want user and assistant in turns. What
such a template cannot hold is put where it can, in the same order, and what was done is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]
SEPARATOR = "\n\n"
NO_SYSTEM = "This model's chat template has no system role: the system text stands in the first user message."
IN_TURNS = "This model's chat template wants user and assistant in turns: messages of one role in a row became one."
NO_TEMPLATE = "This model has no chat template (a base model): it reads the text as it is, without marks around it."
PLAIN = """\
{{ messages | map(attribute="content") | join("\\n\\n") }}
{%- if add_generation_prompt and messages | length > 1 %}{{ "\\n\\n" }}{% endif %}"""
"""What stands in for a template: the messages alone, an empty line between two."""


def arrangements(messages: Sequence[Message]) -> Iterator[tuple[list[Message], tuple[str, ...]]]:
    """The messages as they are, then as more and more demanding templates want them, each with what was done."""
    seen: list[list[Message]] = []
    folded, merged = without_system(messages), in_turns(messages)
    for turned, notes in (
        (list(messages), ()),
        (folded, (NO_SYSTEM,)),
        (merged, (IN_TURNS,)),
        (in_turns(folded), (NO_SYSTEM, IN_TURNS)),
    ):
        if turned not in seen:
            seen.append(turned)
            yield turned, notes


def without_system(messages: Sequence[Message]) -> list[Message]:
    """The system text in front of the first user message; it is that message if there is none."""
    system = [m for m in messages if m.get("role") == "system" and isinstance(m.get("content"), str)]
    others = [m for m in messages if m not in system]
    if not system:
        return others
    user = next((n for n, m in enumerate(others) if m.get("role") == "user"), None)
    if user is None or not isinstance(others[user].get("content"), str):
        return [*({**m, "role": "user"} for m in system), *others]
    text = SEPARATOR.join(m["content"] for m in (*system, others[user]))
    return [*others[:user], {**others[user], "content": text}, *others[user + 1 :]]


def in_turns(messages: Sequence[Message]) -> list[Message]:
    """Messages of one role in a row as one."""
    turns: list[Message] = []
    for message in messages:
        last = turns[-1] if turns else {}
        texts = [last.get("content"), message.get("content")]
        if last.get("role") == message.get("role") and all(isinstance(text, str) for text in texts):
            turns[-1] = {**last, "content": SEPARATOR.join(map(str, texts))}
        else:
            turns.append(message)
    return turns
