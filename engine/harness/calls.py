"""What counts as a call: one JSON object in a fixed form, checked against the tool's own types before anything runs.
No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from llm_holes.engine.harness.tools import Tool

LOOKS_LIKE_A_CALL = ("{", "```", "<tool_call>")


@dataclass(frozen=True, slots=True)
class Call:
    tool: Tool
    arguments: msgspec.Struct


@dataclass(frozen=True, slots=True)
class Fault:
    """A text that tries to be a call and is none, and why."""

    why: str


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: msgspec.Raw


def parse(text: str, tools: Sequence[Tool]) -> Call | Fault | None:
    """The call in what the model wrote; None if it is ordinary text. Only the whole text counts, never a part of it:
    a call quoted inside an answer runs nothing."""
    text = text.strip()
    if not text.startswith(LOOKS_LIKE_A_CALL):
        return None
    text = text.removeprefix("<tool_call>").removesuffix("</tool_call>").strip()
    try:
        envelope = msgspec.json.decode(text.encode("utf-8", "replace"), type=_Envelope)
        tool = next((tool for tool in tools if tool.name == envelope.name), None)
        if tool is None:
            return Fault(f"there is no tool {envelope.name[:40]!r}")
        return Call(tool, msgspec.json.decode(envelope.arguments, type=tool.arguments))
    except (msgspec.DecodeError, RecursionError) as error:
        return Fault(str(error))


def call_schema(tools: Sequence[Tool]) -> dict[str, Any]:
    """The JSON schema of any call of these tools."""
    return {
        "anyOf": [
            {
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": tool.schema()},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for tool in tools
        ],
    }
