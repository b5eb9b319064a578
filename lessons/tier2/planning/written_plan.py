"""A plan as the model writes it, or as the learner typed it: one step to a line, and nothing more than text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.generation.generate import Limits, Step
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.numbers import plural

EXAMPLES = (
    ("Plant a tree.", ("dig a hole", "put the tree in", "fill the hole", "water the tree")),
    ("Send a letter.", ("write the letter", "fold the paper", "stick on a stamp", "post the letter")),
)
MOST_STEPS, MOST_CHARACTERS, MOST_TOKENS = 6, 60, 60
FIRST = "1."
LINE = re.compile(r"\s*\d+[.)]\s*(.*\S)\s*")


def numbered(steps: tuple[str, ...]) -> str:
    """The plan as the model reads it."""
    return "Plan:\n" + "".join(f"{n}. {step}\n" for n, step in enumerate(steps, 1))


def typed(text: str) -> tuple[str, ...]:
    """The steps in what the learner typed, with commas between; a step named twice counts once. Raises InputError."""
    steps = tuple(dict.fromkeys(step.strip()[:MOST_CHARACTERS] for step in text.split(",") if step.strip()))
    if not 2 <= len(steps) <= MOST_STEPS:
        hint = f"Write 2 to {MOST_STEPS} different steps with commas between."
        raise InputError(f"the plan has {plural(len(steps), 'different step')}", hint)
    return steps


def steps_in(text: str, most: int) -> tuple[str, ...]:
    """The numbered lines of what the model wrote, up to the first that is none; a step named twice counts once."""
    found: list[str] = []
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            break
        found.append(match[1][:MOST_CHARACTERS])
    return tuple(dict.fromkeys(found))[:most]


def asked(engine: Engine, task: str) -> list[int]:
    """The tokens before the plan: two examples of a plan, then the task, up to the number of the first step."""

    def order(task: str) -> str:
        return f"Task: {task} Write a plan of four short steps."

    if not engine.tokenizer.has_chat:
        engine.tokenizer.chat([])  # says so
        examples = "".join(f"{order(task)}\n{numbered(steps)}\n" for task, steps in EXAMPLES)
        return engine.encode(f"{examples}{order(task)}\nPlan:\n{FIRST}", MOST_TOKENS)
    messages: list[dict[str, str]] = []
    for example, steps in EXAMPLES:
        messages.append({"role": "user", "content": order(example)})
        messages.append({"role": "assistant", "content": numbered(steps).strip()})
    ids = engine.tokenizer.chat_ids([*messages, {"role": "user", "content": order(task)}])
    return engine.fits(ids + engine.tokenizer.encode(f"Plan:\n{FIRST}"), MOST_TOKENS)


def writing(engine: Engine, task: str, most: int) -> Iterator[Step]:
    """Each token the model chooses for its plan, the likeliest; software stops it after the last step."""
    text = FIRST
    for step in engine.generate(asked(engine, task), SamplingParams(), Limits(MOST_TOKENS)):
        text += step.text
        yield step
        if "\n\n" in text or text.count("\n") >= most:
            return
