"""The fixed passage on which perplexity and KL are measured, so that numbers compare across lessons.

Lewis Carroll, Alice's Adventures in Wonderland (1865), opening of chapter I; public domain.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

NAME = "the opening of Alice's Adventures in Wonderland"


@cache
def passage() -> str:
    return (files("llm_holes.lessons.shared") / "passage.txt").read_text(encoding="utf-8")
