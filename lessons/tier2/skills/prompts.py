"""The prompt with the list of skills and a message, and the texts it is put together from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_holes.engine.engine import Engine
from llm_holes.engine.harness.prompt import SYSTEM, Message, ids_of, pieces
from llm_holes.lessons.shared.prompt_parts import Said
from llm_holes.lessons.tier2.skills import skill_files
from llm_holes.lessons.tier2.skills.skill_files import Skill

MARKS, TEXT, LIST, INSTRUCTIONS, YOURS = "marks", "system text", "list of skills", "instructions", "your words"


@dataclass(frozen=True, slots=True)
class Prompt:
    ids: tuple[int, ...]
    made_of: tuple[Said, ...]


def prompt_of(engine: Engine, skills: Sequence[Skill], said: Sequence[Said]) -> Prompt:
    """A conversation in which all skills are listed and `said` is the user's message, whoever wrote it."""
    system: list[Said] = [(SYSTEM, TEXT)]
    if skills:
        system.append((f" Skills the user can call:{skill_files.listing(list(skills))}", LIST))
    whole = [Message("system", _joined(system)), Message("user", _joined(said))]
    found = pieces(engine.tokenizer, whole)
    made_of: list[Said] = []
    for piece in found:
        texts = {"system": system, "user": list(said)}.get(piece.what)
        made_of += texts if texts is not None else [(engine.tokenizer.decode(piece.ids), MARKS)]
    return Prompt(tuple(ids_of(found)), tuple(made_of))


def _joined(said: Sequence[Said]) -> str:
    return "".join(text for text, _ in said)
