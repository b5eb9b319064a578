"""Skills on disk: `NAME/SKILL.md` in a folder the learner can edit, and what `/NAME …` expands to. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from llm_holes.engine.errors import InputError
from llm_holes.lessons.tier2.skills.answer_check import Check

FOLDER, FILE = "skills", "SKILL.md"
MAX_BYTES = 16 * 1024
MAX_SKILLS = 50
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
COMMAND = re.compile(r"/(\S*)\s*(.*)", re.DOTALL)
SHIPPED = {
    "capital": "answer with one city\n---\nAnswer with the name of a city only.\n\nWhat is the capital of",
    "haiku": (
        "write a short poem of three lines\ncheck: 3 lines\n---\n"
        "Write a poem of exactly three short lines. No title, no rhyme, and no "
        "words before or after the poem. The poem is about:"
    ),
    "list": (
        "turn a subject into a list of three points\ncheck: 3 lines\n---\n"
        "Write a list of exactly three points. Begin each with its "
        "number, keep each under ten words, and write nothing else. The subject:"
    ),
}
"""The skills a new folder begins with: description, perhaps what software is to count, and instructions."""


@dataclass(frozen=True, slots=True)
class Skill:
    """`description` is listed all the time; `body` is read only when the skill is called. `check` is what software can
    count in an answer, if the file asks for it."""

    name: str
    description: str
    body: str
    check: Check | None = None


def seed(folder: Path) -> None:
    """Writes the shipped skills where there is no such folder yet. Raises InputError if it cannot be written."""
    if folder.exists():
        return
    try:
        for name, rest in SHIPPED.items():
            (folder / name).mkdir(mode=0o700, parents=True)
            text = f"---\nname: {name}\ndescription: {rest}\n"
            (folder / name / FILE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}", "Set LLM_HOLES_STATE elsewhere.") from None


def found(folder: Path) -> tuple[list[Skill], list[str]]:
    """The skills that can be read, by name, and why the others cannot."""
    skills: list[Skill] = []
    notices: list[str] = []
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}", "Make the folder, or delete it.") from None
    for name in names[:MAX_SKILLS]:
        try:
            skills.append(load(folder, name))
        except InputError as error:
            notices.append(str(error))
    if len(names) > MAX_SKILLS:
        notices.append(f"only the first {MAX_SKILLS} of {len(names)} skills are listed")
    return skills, notices


def load(folder: Path, name: str) -> Skill:
    """The skill of that name. Raises InputError if the name could lead out of the folder, or the file is no skill."""
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be a skill's name", "Use small letters, digits and hyphens.")
    path = folder / name / FILE
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve()):
            raise InputError(f"{name}/{FILE} leads out of the skills' folder", "Put the file itself there, not a link.")
        if not path.is_file():
            raise InputError(f"{name}/{FILE} is no file", "Put the text itself there.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise InputError(f"there is no skill {name!r}: {name}/{FILE} cannot be read", str(error)) from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}/{FILE} is larger than {MAX_BYTES:,} bytes", "Shorten it: all of it is sent.")
    try:
        return parsed(name, data.decode("utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"{name}/{FILE} is not UTF-8 text", "Save it as UTF-8.") from None


def parsed(name: str, text: str) -> Skill:
    """A skill from its file: `key: value` lines between two lines of ---, then the instructions. Raises InputError."""
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[0].strip() != "---" or "---" not in (rest := [line.strip() for line in lines[1:]]):
        raise InputError(f"{name}/{FILE} has no front matter", "Begin it with ---, name:, description:, and --- again.")
    end = rest.index("---") + 1
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines[1:end])}
    if fields.get("name") != name:
        raise InputError(f"{name}/{FILE} does not say name: {name}", "The name and the folder must be the same.")
    body = "\n".join(lines[end + 1 :]).strip()
    if not fields.get("description") or not body:
        raise InputError(f"{name}/{FILE} lacks a description or instructions", "Both are needed.")
    check = Check.parsed(f"{name}/{FILE}", fields["check"]) if fields.get("check") else None
    return Skill(name, fields["description"], body, check)


def command(typed: str) -> tuple[str, str] | None:
    """The skill's name and what follows it, if the text calls one."""
    match = COMMAND.fullmatch(typed.strip())
    return (match[1], match[2].strip()) if match else None


def called(folder: Path, skills: list[Skill], name: str) -> Skill | None:
    """The skill of that name, None if there is none. Raises InputError with what is wrong with its file."""
    for skill in skills:
        if skill.name == name:
            return skill
    return load(folder, name) if NAME.fullmatch(name) and (folder / name).is_dir() else None


def expanded(skill: Skill, argument: str) -> str:
    """The message the model gets in place of the command."""
    return f"{skill.body} {argument}".strip()


def listing(skills: list[Skill]) -> str:
    """What the model is told about skills that were not called."""
    return "".join(f"\n- {skill.name}: {skill.description}" for skill in skills)
