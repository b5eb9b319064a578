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
from llm_holes.engine.numbers import plural
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.state_file import state_folder
from llm_holes.lessons.tier2.skills import skill_files
from llm_holes.lessons.tier2.skills.skill_files import FOLDER, Skill

REPEATS = 2


@dataclass
class SkillTrace:
    """What has been done so far; prompts and answers as typed (before) and as sent (after)."""

    typed: str
    skills: list[Skill]
    where: str
    called: Skill | None = None
    ids: dict[str, list[int]] = field(default_factory=dict)
    prefill: dict[str, Timing] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    report: Report = field(default_factory=Report)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    with ExitStack() as stack:
        own = state_folder() if p["own_files"] else Path(stack.enter_context(TemporaryDirectory(prefix="llm-holes-")))
        folder = own / FOLDER
        skill_files.seed(folder)
        skills, notices = skill_files.found(folder)
        where = (
            str(folder) if p["own_files"] else "those that come with this lesson; turn on `your own files` to edit them"
        )
        trace = SkillTrace(p["text"].strip(), skills, "\n".join((where, *notices)))
        sent = _sent(folder, trace, p["expand"])
    yield from _run(engine, trace, sent, p["max_new_tokens"])


def _sent(folder: Path, trace: SkillTrace, expand: bool) -> str:
    """The message the model gets: what was typed, or what the called skill makes of it. Raises InputError."""
    if not trace.typed:
        raise InputError("nothing was typed", "Type a skill, such as /haiku rain.")
    command = skill_files.command(trace.typed) if expand else None
    if command is None:
        return trace.typed
    trace.called = skill_files.called(folder, trace.skills, command[0])
    return skill_files.expanded(trace.called, command[1])


def _run(engine: Engine, trace: SkillTrace, sent: str, new_tokens: int) -> Iterator[Frame]:
    trace.ids = {kind: prompt(engine, trace.skills, text) for kind, text in (("before", trace.typed), ("after", sent))}
    for kind, ids in trace.ids.items():
        engine.fits(ids, new_tokens)
        trace.prefill[kind] = trace.prefill.get("before", Timing(0, 0, 0))
        if kind == "before" or ids != trace.ids["before"]:
            _, trace.prefill[kind] = repeated(REPEATS, prefill, engine.model, ids)
        yield _frame(engine, trace, 0.1 if kind == "before" else 0.2)
    for kind, ids in trace.ids.items():
        trace.answers[kind] = engine.write(ids, new_tokens) if kind == "before" or ids != trace.ids["before"] else ""
        yield _frame(engine, trace, 0.6 if kind == "before" else 0.9)
    trace.answers["after"] = trace.answers["after"] or trace.answers["before"]
    trace.report.measure(_prompts(engine, trace, sent))
    trace.report.measure(
        answer_before=trace.answers["before"],
        answer_after=trace.answers["after"],
        answers_differ=trace.answers["before"] != trace.answers["after"],
    )
    yield _frame(engine, trace)


def _prompts(engine: Engine, trace: SkillTrace, sent: str) -> dict[str, Any]:
    """What the two prompts are made of, and whether the same message typed by hand would have given the same."""
    encode, by_hand = engine.tokenizer.encode, prompt(engine, trace.skills, sent)
    first, again = (engine.logits(ids, 1) for ids in (trace.ids["after"], by_hand))
    return {
        "skill": trace.called.name if trace.called else "none",
        "skills_listed": len(trace.skills),
        "skill_tokens": len(encode(trace.called.body)) if trace.called else 0,
        "listing_tokens": len(encode(skill_files.listing(trace.skills))),
        "all_skills_tokens": sum(len(encode(skill.body)) for skill in trace.skills),
        "prompt_tokens_before": len(trace.ids["before"]),
        "prompt_tokens_after": len(trace.ids["after"]),
        "prefill_ms_added": trace.prefill["after"].fastest - trace.prefill["before"].fastest,
        "slash_command_in_model_input": bool(trace.typed.startswith("/") and trace.typed.split()[0] in sent),
        "same_as_typed_by_hand": by_hand == trace.ids["after"] and bool((first == again).all()),
    }


def prompt(engine: Engine, skills: list[Skill], text: str) -> list[int]:
    """A conversation in which all skills are listed and `text` is the user's message, whoever wrote it."""
    system = f"{SYSTEM} Skills the user can call:{skill_files.listing(skills)}" if skills else SYSTEM
    return ids_of(pieces(engine.tokenizer, [Message("system", system), Message("user", text)]))


def _frame(engine: Engine, trace: SkillTrace, progress: float | None = None) -> Frame:
    before, after = (engine.tokenizer.decode(trace.ids[kind]) for kind in ("before", "after"))
    views: dict[str, View | None] = {
        "the exact prompt": Diff("the exact prompt", before, after, "as typed", "as the model gets it"),
        "the answers": None,
        "what it costs": _costs(trace),
        "the skills": _listed(engine, trace),
        "token by token": Tokens("what the model gets, token by token", engine.tokens(trace.ids["after"])),
        "where they are": Text("where the skills are", trace.where),
    }
    if "after" in trace.answers:
        answers = trace.answers["before"], trace.answers["after"]
        views["the answers"] = Diff("the answers", *answers, "as typed", "expanded")
    added = len(trace.ids["after"]) - len(trace.ids["before"])
    name = f"/{trace.called.name} became its instructions" if trace.called else "nothing was expanded"
    typed = plural(len(trace.ids["before"]), "token")
    trace.report.show(**views)
    trace.report.say(f"{name}: {typed} as typed, {len(trace.ids['after']):,} as sent ({added:+,}).")
    return trace.report.frame(progress)


def _costs(trace: SkillTrace) -> Table:
    names = {"before": "as typed", "after": "as the model gets it"}
    rows = tuple((names[kind], len(trace.ids[kind]), str(timing)) for kind, timing in trace.prefill.items())
    return Table("what it costs, at every call", ("", "tokens", "prefill"), rows)


def _listed(engine: Engine, trace: SkillTrace) -> Table:
    encode = engine.tokenizer.encode
    rows = tuple(
        (f"/{s.name}", s.description, len(encode(skill_files.listing([s]))), len(encode(s.body)), s is trace.called)
        for s in trace.skills
    )
    columns = ("skill", "description, always listed", "tokens", "instructions", "read")
    return Table("the skills: only the called one is read in", columns, rows)
