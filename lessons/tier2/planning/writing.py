"""The model writes a plan, the likeliest token at each place."""

from __future__ import annotations

from collections.abc import Iterator

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import Limits, Step
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.lessons.tier2.planning.written_plan import BEGINNING, FIRST, MOST_TOKENS, bare, is_whole, talk


def asked(engine: Engine, task: str) -> list[int]:
    """The tokens before the plan: two examples of a plan, then the task, up to the number of the first step."""
    if not engine.tokenizer.has_chat:
        engine.tokenizer.chat([])  # says so
        return engine.encode(f"{bare(task)}{BEGINNING}", MOST_TOKENS)
    return engine.fits(engine.tokenizer.chat_ids(talk(task)) + engine.tokenizer.encode(BEGINNING), MOST_TOKENS)


def writing(engine: Engine, task: str, most: int) -> Iterator[Step]:
    """Each token the model chooses for its plan, the likeliest; software stops it after the last step."""
    text = FIRST
    for step in engine.generate(asked(engine, task), SamplingParams(), Limits(MOST_TOKENS)):
        text += step.text
        yield step
        if is_whole(text, most):
            return
