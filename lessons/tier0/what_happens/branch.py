"""Where the learner changed the answer, and how it would have gone on otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import Limits
from llm_holes.engine.generation.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Branch:
    """The answer's own way and the place, from 1, at which the learner's leaves it; 0 if it never does. `own` and
    `taken` are the tokens there, and `returns` says whether the text of `own` comes later on after all."""

    answer: str
    at: int = 0
    own: str = ""
    taken: str = ""
    returns: bool = False


def own_way(engine: Engine, prompt: Sequence[int], limit: int) -> tuple[list[int], str]:
    """What the model writes after `prompt` if nobody interferes: the tokens, an end token included, and the text."""
    steps = list(engine.generate(prompt, SamplingParams(), Limits(limit)))
    return [step.token for step in steps], "".join(step.text for step in steps)


def branch_of(engine: Engine, own: Sequence[int], own_answer: str, given: Sequence[int]) -> Branch:
    """Compares the tokens of both ways; one that only stopped earlier has not left the other."""
    place = next((n for n, (a, b) in enumerate(zip(own, given, strict=False)) if a != b), None)
    if place is None:
        return Branch(own_answer)
    word, taken = engine.token_text(own[place]), engine.token_text(given[place])
    later = engine.tokenizer.decode([token for token in given[place + 1 :] if token not in engine.tokenizer.eos_ids])
    return Branch(own_answer, place + 1, word, taken, bool(word.strip()) and word.strip() in later)
