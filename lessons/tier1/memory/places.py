"""Where a memory can stand in a prompt, and what is published of each place. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llm_holes.engine.frames import Bars
from llm_holes.lessons.tier1.memory.memory_store import FIRST

ALIKE = (
    "My cat is called Momo.",
    "My sister is called Ines.",
    "My horse is called Bruno.",
    "My street is called Elm Street.",
    "My boat is called Aurora.",
    "My boss is called Karl.",
    "My bird is called Kiwi.",
)
"""Memories that say what somebody or something is called."""
OTHERS = {"sound alike": ALIKE, "other things": FIRST}
"""Seven memories to paste beside the one that counts."""
FRAME = "Here is what you know about the user from earlier conversations:"
NONE = "no memory"
NAMES = {
    NONE: "p_fact_no_memory",
    "alone": "p_fact_alone",
    "first of 8": "p_fact_first_of_others",
    "middle of 8": "p_fact_among_others",
    "last of 8": "p_fact_last_of_others",
    "after question": "p_fact_after_question",
    "system text": "p_fact_in_system_text",
    "system, framed": "p_fact_in_framed_system_text",
    "then denied": "p_fact_told_first",
    "after a denial": "p_fact_told_last",
}
"""How a place is called in the picture, and under which name its probability is published."""
KNOWN, HARMED = 0.01, 0.8
"""From which probability on a memory counts as read, and below which share of it others have done harm."""


def orders(memory: str, rival: str, others: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What is pasted in front of the question, by the names of the places; `rival` contradicts, "" if there is none."""
    middle = len(others) // 2 + 1
    return {
        NONE: (),
        "alone": (memory,),
        "first of 8": (memory, *others),
        "middle of 8": (*others[:middle], memory, *others[middle:]),
        "last of 8": (*others, memory),
        "then denied": (memory, rival),
        "after a denial": (rival, memory),
    }


def bars(fact: str, found: dict[str, float]) -> Bars:
    """All places but the empty one, whose bar would have no length."""
    shown = {name: p for name, p in found.items() if name != NONE}
    return Bars(f"P({fact}), by what is pasted and where", tuple(shown), tuple(shown.values()), range=(0, 1))


def published(found: dict[str, float]) -> dict[str, Any]:
    """Without a memory that contradicts, its two places are 0."""
    by_name = {published: found.get(name, 0.0) for name, published in NAMES.items()}
    ratio = _ratio(by_name)
    effect = "nothing" if by_name["p_fact_alone"] < KNOWN else "draw away" if ratio < HARMED else "little"
    return by_name | {"contradicted": "then denied" in found, "among_to_alone": ratio, "others_do": effect}


def _ratio(by_name: dict[str, float]) -> float:
    return by_name["p_fact_among_others"] / max(by_name["p_fact_alone"], 1e-12)
