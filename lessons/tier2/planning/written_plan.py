"""A plan as the model writes it, or as the learner typed it: one step to a line, and nothing more than text. No
torch."""

from __future__ import annotations

import re

from llm_holes.engine.errors import InputError
from llm_holes.engine.numbers import plural

EXAMPLES = (
    ("Plant a tree.", ("dig a hole", "put the tree in", "fill the hole", "water the tree")),
    ("Send a letter.", ("write the letter", "fold the paper", "stick on a stamp", "post the letter")),
)
MOST_STEPS, MOST_CHARACTERS, MOST_TOKENS = 6, 60, 60
FIRST = "1."
BEGINNING = f"Plan:\n{FIRST}"
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


def plan_of(given: str, written: str, most: int) -> tuple[str, ...]:
    """The steps of the plan that was given, else of what the model wrote. Raises InputError."""
    plan = typed(given) if given.strip() else steps_in(written, most)
    if len(plan) < 2:
        raise InputError("the model wrote no plan of two different steps", "Write a plan, or another task.")
    return plan


def talk(task: str) -> list[dict[str, str]]:
    """The messages before the plan: two examples of a plan, then the task."""
    messages: list[dict[str, str]] = []
    for example, steps in EXAMPLES:
        messages.append({"role": "user", "content": _order(example)})
        messages.append({"role": "assistant", "content": numbered(steps).strip()})
    return [*messages, {"role": "user", "content": _order(task)}]


def bare(task: str) -> str:
    """The same for a model that has no messages, up to where the plan begins."""
    return "".join(f"{_order(task)}\n{numbered(steps)}\n" for task, steps in EXAMPLES) + f"{_order(task)}\n"


def is_whole(text: str, most: int) -> bool:
    """Whether a plan that is being written has all the steps it may have, or ended in an empty line."""
    return "\n\n" in text or text.count("\n") >= most


def _order(task: str) -> str:
    return f"Task: {task} Write a plan of four short steps."
