"""A passage to put in front of a message, where no tokenizer is at hand. No torch."""

from __future__ import annotations

from importlib.resources import files

CHARACTERS_A_TOKEN = 4
"""Of English prose, about."""


def passage_of(tokens: int) -> str:
    """About so many tokens of prose, cut between words; nothing for 0."""
    text = " ".join((files("llm_holes.lessons.shared") / "passage.txt").read_text(encoding="utf-8").split())
    wanted = tokens * CHARACTERS_A_TOKEN
    whole = (text + " ") * (wanted // len(text) + 1)
    return whole[:wanted].rpartition(" ")[0]
