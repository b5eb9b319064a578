"""One memory in a prompt: alone, among others, at other places, beside one that contradicts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars
from llm_holes.engine.harness.prompt import SYSTEM, Message, ids_of, pieces
from llm_holes.lessons.tier1.memory.memory_store import FIRST
from llm_holes.lessons.tier1.memory.retrieval import asked

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


def placed(
    engine: Engine, question: str, memory: str, rival: str, others: Sequence[str]
) -> Iterator[tuple[str, list[int]]]:
    """The prompts by the names of their places; `rival` is the memory that contradicts, "" if there is none."""
    middle = len(others) // 2 + 1
    orders = {
        NONE: (),
        "alone": (memory,),
        "first of 8": (memory, *others),
        "middle of 8": (*others[:middle], memory, *others[middle:]),
        "last of 8": (*others, memory),
        "then denied": (memory, rival),
        "after a denial": (rival, memory),
    }
    prompts = {name: asked(engine, question, order).ids for name, order in orders.items()}
    prompts["after question"] = _chat(engine, SYSTEM, f"Question: {question}\nMemory: {memory}")
    prompts["system text"] = _chat(engine, f"{SYSTEM}\nMemory: {memory}", question)
    prompts["system, framed"] = _chat(engine, f"{SYSTEM}\n{FRAME}\nMemory: {memory}", question)
    for name in NAMES:
        if rival or "deni" not in name:
            yield name, prompts[name]


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


def _chat(engine: Engine, system: str, user: str) -> list[int]:
    return ids_of(pieces(engine.tokenizer, [Message("system", system), Message("user", user)]))
