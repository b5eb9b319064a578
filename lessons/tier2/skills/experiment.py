"""A typed command, what the software makes of it, and the exact prompts before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Diff, Frame, Table, Text, Tokens, View
from llm_holes.engine.generation.continuations import prefill
from llm_holes.engine.harness.prompt import SYSTEM, Message, ids_of, pieces
from llm_holes.engine.measure import Timing, repeated
from llm_holes.lessons.state_file import state_folder
from llm_holes.lessons.tier2.skills import skill_files
from llm_holes.lessons.tier2.skills.skill_files import FOLDER, Skill

REPEATS = 2


@dataclass
class Trip:
    """What has been done so far; prompts and answers as typed (before) and as sent (after)."""

    typed: str
    skills: list[Skill]
    where: str
    called: Skill | None = None
    ids: dict[str, list[int]] = field(default_factory=dict)
    prefill: dict[str, Timing] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    with ExitStack() as stack:
        own = state_folder() if p["own_files"] else Path(stack.enter_context(TemporaryDirectory(prefix="llm-holes-")))
        folder = own / FOLDER
        skill_files.seed(folder)
        skills, notices = skill_files.found(folder)
        where = (
            str(folder) if p["own_files"] else "those that come with this lesson; turn on `your own files` to edit them"
        )
        trip = Trip(p["text"].strip(), skills, "\n".join((where, *notices)))
        sent = _sent(folder, trip, p["expand"])
    yield from _run(engine, trip, sent, p["max_new_tokens"])


def _sent(folder: Path, trip: Trip, expand: bool) -> str:
    """The message the model gets: what was typed, or what the called skill makes of it. Raises InputError."""
    if not trip.typed:
        raise InputError("nothing was typed", "Type a skill, such as /haiku rain.")
    command = skill_files.command(trip.typed) if expand else None
    if command is None:
        return trip.typed
    trip.called = skill_files.called(folder, trip.skills, command[0])
    return skill_files.expanded(trip.called, command[1])


def _run(engine: Engine, trip: Trip, sent: str, new_tokens: int) -> Iterator[Frame]:
    trip.ids = {kind: prompt(engine, trip.skills, text) for kind, text in (("before", trip.typed), ("after", sent))}
    for kind, ids in trip.ids.items():
        engine.fits(ids, new_tokens)
        trip.prefill[kind] = trip.prefill.get("before", Timing(0, 0, 0))
        if kind == "before" or ids != trip.ids["before"]:
            _, trip.prefill[kind] = repeated(lambda: prefill(engine.model, ids), REPEATS)  # noqa: B023
        yield _frame(engine, trip, 0.1 if kind == "before" else 0.2)
    by_hand = prompt(engine, trip.skills, sent)
    first, again = (engine.logits(ids, 1) for ids in (trip.ids["after"], by_hand))
    encode = engine.tokenizer.encode
    trip.measured = {
        "skill": trip.called.name if trip.called else "none",
        "skills_listed": len(trip.skills),
        "skill_tokens": len(encode(trip.called.body)) if trip.called else 0,
        "listing_tokens": len(encode(skill_files.listing(trip.skills))),
        "all_skills_tokens": sum(len(encode(skill.body)) for skill in trip.skills),
        "prompt_tokens_before": len(trip.ids["before"]),
        "prompt_tokens_after": len(trip.ids["after"]),
        "prefill_ms_added": trip.prefill["after"].fastest - trip.prefill["before"].fastest,
        "slash_command_in_model_input": bool(trip.typed.startswith("/") and trip.typed.split()[0] in sent),
        "same_as_typed_by_hand": by_hand == trip.ids["after"] and bool((first == again).all()),
    }
    for kind, ids in trip.ids.items():
        trip.answers[kind] = engine.write(ids, new_tokens) if kind == "before" or ids != trip.ids["before"] else ""
        yield _frame(engine, trip, 0.6 if kind == "before" else 0.9)
    trip.answers["after"] = trip.answers["after"] or trip.answers["before"]
    trip.measured |= {
        "answer_before": trip.answers["before"],
        "answer_after": trip.answers["after"],
        "answers_differ": trip.answers["before"] != trip.answers["after"],
    }
    yield _frame(engine, trip, None)


def prompt(engine: Engine, skills: list[Skill], text: str) -> list[int]:
    """A conversation in which all skills are listed and `text` is the user's message, whoever wrote it."""
    system = f"{SYSTEM} Skills the user can call:{skill_files.listing(skills)}" if skills else SYSTEM
    return ids_of(pieces(engine.tokenizer, [Message("system", system), Message("user", text)]))


def _frame(engine: Engine, trip: Trip, progress: float | None) -> Frame:
    before, after = (engine.tokenizer.decode(trip.ids[kind]) for kind in ("before", "after"))
    views: list[View] = [
        Diff("the exact prompt", before, after, "as typed", "as the model gets it"),
        _costs(trip),
        _listed(engine, trip),
        Tokens("what the model gets, token by token", engine.tokens(trip.ids["after"])),
        Text("where the skills are", trip.where),
    ]
    if "after" in trip.answers:
        views.insert(1, Diff("the answers", trip.answers["before"], trip.answers["after"], "as typed", "expanded"))
    added = len(trip.ids["after"]) - len(trip.ids["before"])
    name = f"/{trip.called.name} became its instructions" if trip.called else "nothing was expanded"
    caption = f"{name}: {len(trip.ids['before'])} tokens as typed, {len(trip.ids['after'])} as sent ({added:+})."
    return Frame(caption, tuple(views), dict(trip.measured) if progress is None else {}, progress)


def _costs(trip: Trip) -> Table:
    names = {"before": "as typed", "after": "as the model gets it"}
    rows = tuple((names[kind], len(trip.ids[kind]), str(timing)) for kind, timing in trip.prefill.items())
    return Table("what it costs, at every call", ("", "tokens", "prefill"), rows)


def _listed(engine: Engine, trip: Trip) -> Table:
    encode = engine.tokenizer.encode
    rows = tuple(
        (f"/{s.name}", s.description, len(encode(skill_files.listing([s]))), len(encode(s.body)), s is trip.called)
        for s in trip.skills
    )
    columns = ("skill", "description, always listed", "tokens", "instructions", "read")
    return Table("the skills: only the called one is read in", columns, rows)
