"""What a model is given before it writes: tools, and a talk in which they were called. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_holes.engine.harness import tools
from llm_holes.engine.harness.prompt import Message, system_text

SANDBOX = Path(__file__).parent / "sandbox"
EXAMPLES = (
    ("What is 12 * 31?", "calculator", {"expression": "12 * 31"}, "372"),
    ("What is the price of a pear?", "lookup", {"key": "pear"}, "3"),
    ("How much is 58 + 27?", "calculator", {"expression": "58 + 27"}, "85"),
    ("What is the price of a plum?", "lookup", {"key": "plum"}, "2"),
)
GROUPS = {
    "system": "system text, tools",
    "example": "examples",
    "user": "your message",
    "assistant": "model",
    "tool": "result of a tool",
}
"""What a part of a context is called, by who is in it."""
BY_HAND = "ran no tool: this result was given by hand"


def tools_of(p: Mapping[str, Any]) -> tuple[tools.Tool, ...]:
    """The tools that are set; with a result by hand they all give that."""
    table = tools.table_of(p["table"].replace(";", "\n"))
    every = (tools.calculator(), tools.lookup(table), tools.text_stats(), tools.clock(), tools.read_file(SANDBOX))
    chosen = every[: {"calculator": 1, "calculator, lookup": 2, "all five": 5}[p["tools"]]]
    return tuple(replace(tool, run=lambda arguments: p["result"]) for tool in chosen) if p["result"] else chosen


def messages_of(given: Sequence[tools.Tool], p: Mapping[str, Any]) -> list[Message]:
    """The system text that describes the tools, the examples, and the learner's message."""
    messages = [Message("system", system_text([tool.described() for tool in given]))]
    names = {tool.name for tool in given}
    for question, name, arguments, result in [one for one in EXAMPLES if one[1] in names][: p["examples"]]:
        call = json.dumps({"name": name, "arguments": arguments})
        messages += [Message("user", question), Message("assistant", call)]
        messages += [Message("tool", result), Message("assistant", f"The answer is {result}.")]
    return [*messages, Message("user", p["text"])]
