"""What has happened in a conversation so far, and what of it is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_holes.engine.harness.calls import Call
from llm_holes.engine.proportion import wilson
from llm_holes.lessons.shared.harness_views import Record
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.trials import Trial
from llm_holes.lessons.tier1.tool_calls.held_call import HeldCall
from llm_holes.lessons.tier1.tool_calls.nobody_steps_in import Part
from llm_holes.lessons.tier1.tool_calls.views import Readings

FREE, HELD = "free", "held in the grammar"


@dataclass
class Conversation:
    """What has happened so far. `alone` are the turns that the model wrote with no software to stop it."""

    record: Record
    readings: Readings
    alone: list[Part] = field(default_factory=list)
    held: HeldCall | None = None
    tool_ms: float = 0.0
    trials: dict[str, list[Trial]] = field(default_factory=lambda: {FREE: [], HELD: []})
    report: Report = field(default_factory=Report)


def measured(talk: Conversation, mine: str) -> dict[str, Any]:
    record = talk.record
    result = record.results[-1].text if record.results else ""
    rate = {mode: sum(t.valid for t in found) / max(len(found), 1) for mode, found in talk.trials.items()}
    ran = {mode: sum(t.ran for t in found) / max(len(found), 1) for mode, found in talk.trials.items()}
    count = len(talk.trials[mine])
    low, high = _range(talk.trials[mine])
    free_low, free_high = _range(talk.trials[FREE])
    return {
        "call_text": record.call_text,
        "call_parsed": bool(record.found) and isinstance(record.found[0], Call),
        "tool_result": result,
        "answer": record.answer,
        "answer_uses_result": bool(result) and result.casefold() in record.answer.casefold(),
        "valid_call_rate": rate[mine],
        "valid_call_low": low,
        "valid_call_high": high,
        "valid_call_free_low": free_low,
        "valid_call_free_high": free_high,
        "valid_call_rate_free": rate[FREE],
        "valid_call_rate_held": rate[HELD],
        "tool_ran_rate_free": ran[FREE],
        "tool_ran_rate_held": ran[HELD],
        "trials": count,
        "tokens_total": record.tokens,
        "tokens_by_model": record.written - record.forced,
        "tokens_by_grammar": record.forced,
        "tokens_by_software": record.given,
        "ended": record.ended,
        "tool_ms": talk.tool_ms,
        "tokens_read_again": talk.readings.again,
        "tokens_new": talk.readings.added,
        "readings": len(talk.readings.read),
        **_invented(talk.alone, bool(record.results)),
    }


def _range(trials: Sequence[Trial]) -> tuple[float, float]:
    """Between which shares of valid calls the true rate lies."""
    return wilson(sum(one.valid for one in trials), len(trials)) if trials else (0.0, 1.0)


def _invented(parts: Sequence[Part], tool_ran: bool) -> dict[str, Any]:
    """What the model wrote in the name of others, when nobody stopped it."""
    result = next((part for part in parts if part.role == "tool"), None)
    user = next((part for part in parts if part.role == "user"), None)
    later = [part for part in parts[1:] if part.role == "assistant"]
    return {
        "invented_result": result is not None,
        "invented_user_turn": user is not None,
        "invented_result_text": result.said if result else "",
        "invented_user_text": user.said if user else "",
        "answer_alone": later[0].said if result and later else "",
        "result_written_by": "the software" if tool_ran else "the model" if result else "nobody",
    }
