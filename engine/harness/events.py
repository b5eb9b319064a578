"""What happens around a model, as it happens. Each event says by its type who acted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llm_holes.engine.harness.calls import Call, Fault
from llm_holes.engine.harness.prompt import Piece
from llm_holes.engine.harness.tools import Result
from llm_holes.engine.harness.write import Written

StopReason = Literal["answered", "step limit", "token limit", "time limit", "context full"]


@dataclass(frozen=True, slots=True)
class PromptFed:
    """The software appended this to the context."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class TokenWritten:
    """The model wrote one token, or the grammar left it no choice."""

    written: Written


@dataclass(frozen=True, slots=True)
class CallParsed:
    """The software read what the model had written: a call, none, or a faulty one."""

    found: Call | Fault | None


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """The software ran the tool of the last call, or refused to."""

    result: Result


@dataclass(frozen=True, slots=True)
class Stopped:
    reason: StopReason


Event = PromptFed | TokenWritten | CallParsed | ToolReturned | Stopped
