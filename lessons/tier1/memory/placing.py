"""One memory in a prompt: alone, among others, at other places, beside one that contradicts it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llm_holes.engine.engine import Engine
from llm_holes.engine.harness.prompt import SYSTEM, Message, ids_of, pieces
from llm_holes.lessons.tier1.memory.places import FRAME, NAMES, orders
from llm_holes.lessons.tier1.memory.retrieval import asked


def placed(
    engine: Engine, question: str, memory: str, rival: str, others: Sequence[str]
) -> Iterator[tuple[str, list[int]]]:
    """The prompts by the names of their places; `rival` is the memory that contradicts, "" if there is none."""
    prompts = {name: asked(engine, question, order).ids for name, order in orders(memory, rival, others).items()}
    prompts["after question"] = _chat(engine, SYSTEM, f"Question: {question}\nMemory: {memory}")
    prompts["system text"] = _chat(engine, f"{SYSTEM}\nMemory: {memory}", question)
    prompts["system, framed"] = _chat(engine, f"{SYSTEM}\n{FRAME}\nMemory: {memory}", question)
    for name in NAMES:
        if rival or "deni" not in name:
            yield name, prompts[name]


def _chat(engine: Engine, system: str, user: str) -> list[int]:
    return ids_of(pieces(engine.tokenizer, [Message("system", system), Message("user", user)]))
