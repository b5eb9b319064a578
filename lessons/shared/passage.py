"""The fixed passage on which perplexity and KL are measured, so that numbers compare across lessons.

Lewis Carroll, Alice's Adventures in Wonderland (1865), opening of chapter I; public domain.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from llm_holes.engine.engine import Engine

NAME = "the opening of Alice's Adventures in Wonderland"


@cache
def passage() -> str:
    return (files("llm_holes.lessons.shared") / "passage.txt").read_text(encoding="utf-8")


def passage_ids(engine: Engine, count: int) -> list[int]:
    """The first `count` tokens of the passage, from its start again where it ends; no more than the context holds."""
    ids = engine.tokenizer.encode(passage())
    count = min(count, engine.model.config.n_ctx)
    return (ids * (1 + count // len(ids)))[:count]
