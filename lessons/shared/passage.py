"""The fixed passage on which perplexity and KL are measured, so that numbers compare across lessons.

Lewis Carroll, Alice's Adventures in Wonderland (1865), opening of chapter I; public domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_holes.engine.engine import Engine

NAME = "the opening of Alice's Adventures in Wonderland"


@cache
def passage() -> str:
    return (files("llm_holes.lessons.shared") / "passage.txt").read_text(encoding="utf-8")


def passage_ids(engine: Engine, count: int) -> list[int]:
    """The first `count` tokens of the passage, with the BOS in front where the tokenizer puts one there; from the start
    of its text again where it ends; no more than the context holds."""
    begin, ids = engine.tokenizer.begin, engine.tokenizer.encode(passage())
    count = min(count, engine.model.config.n_ctx)
    return [*begin, *ids * (1 + count // len(ids))][:count]


def after_passage(engine: Engine, begun: Sequence[int], ids: Sequence[int]) -> list[int]:
    """A prompt of its own after a passage: without the BOS that its template or the tokenizer put in front of it, as
    `begun` has that already, unless it is empty."""
    begin = list(engine.tokenizer.begin)
    again = bool(begun) and list(ids[: len(begin)]) == begin
    return [*begun, *ids[len(begin) if again else 0 :]]
