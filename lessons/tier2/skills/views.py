"""What the model is given, part by part, and who did what with it."""

from __future__ import annotations

from collections.abc import Sequence

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Context, Contexts, Table, Transcript, Turn
from llm_holes.engine.numbers import plural
from llm_holes.lessons.shared.prompt_parts import parts_of
from llm_holes.lessons.tier2.skills import skill_files
from llm_holes.lessons.tier2.skills.attempts import TELL, Attempt
from llm_holes.lessons.tier2.skills.prompts import Prompt
from llm_holes.lessons.tier2.skills.skill_files import Skill


def stacked(engine: Engine, title: str, prompts: dict[str, Prompt]) -> Contexts:
    return Contexts(
        title, tuple(Context(name, parts_of(engine, prompt.ids, prompt.made_of)) for name, prompt in prompts.items())
    )


def listed(engine: Engine, skills: Sequence[Skill], called: Skill | None) -> Table:
    encode = engine.tokenizer.encode
    rows = tuple(
        (
            f"/{skill.name}",
            skill.description,
            len(encode(skill_files.listing([skill]))),
            len(encode(skill.body)),
            str(skill.check or "–"),
            "yes" if skill is called else "no",
        )
        for skill in skills
    )
    columns = ("skill", "description, always listed", "tokens", "instructions", "software counts", "read in")
    marked = next((n for n, skill in enumerate(skills) if skill is called), None)
    return Table("the skills: only the called one is read in", columns, rows, marked)


def who_did_what(
    engine: Engine,
    read: Sequence[Turn],
    prompt: Prompt,
    attempts: Sequence[Attempt],
    how: str,
    done: Turn | None,
) -> Transcript:
    """From what was typed to the last answer: `read` is what the software did before it put the prompt together, `done`
    what it did at the end."""
    turns = [*read, Turn("software", "put the prompt together", tokens=engine.tokens(prompt.ids), folded=True)]
    for n, attempt in enumerate(attempts):
        if attempt.added:
            turns.append(Turn("software", "said what was wrong", tokens=engine.tokens(attempt.added)))
        elif n and how != TELL:
            turns.append(Turn("software", f"asked for another one, drawn by lot number {n}"))
        turns.append(Turn("model", f"answer {n + 1}", tokens=engine.tokens(attempt.ids)))
        if attempt.fault:
            turns.append(Turn("software", f"counted: {attempt.fault}"))
    return Transcript("from what you typed to the answer", (*turns, *([done] if done else [])))


def verdict(attempts: Sequence[Attempt], checked: bool) -> Turn:
    """What became of the last answer."""
    if not checked:
        return Turn("software", "counted nothing: the answer is yours as it is")
    if attempts[-1].fault:
        return Turn("software", f"gave up after {plural(len(attempts), 'answer')}")
    return Turn("software", "counted: it fits, so the answer is yours")
