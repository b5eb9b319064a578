"""A typed command, what the software makes of it, the exact prompts before and after, and a count of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Diff, Frame, Text, Tokens, Turn, View
from llm_holes.engine.generation.continuations import prefill
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.measure import Timing, timed
from llm_holes.engine.numbers import plural
from llm_holes.engine.scratch import scratch_folder
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.prompt_parts import Said
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.state_file import state_folder
from llm_holes.lessons.tier2.skills import skill_files
from llm_holes.lessons.tier2.skills.attempts import NOBODY, TELL, Answering, Attempt
from llm_holes.lessons.tier2.skills.prompts import INSTRUCTIONS, YOURS, Prompt, prompt_of
from llm_holes.lessons.tier2.skills.skill_files import FOLDER, Skill
from llm_holes.lessons.tier2.skills.views import listed, stacked, verdict, who_did_what

REPEATS = 5
LONG = 1024
"""Tokens of two prompts from which reading them is timed once."""
TYPED, SENT = "as you typed it", "as it was sent"


@dataclass
class SkillTrace:
    """What has been done so far. `name` is what stood behind a slash, "" if there was none."""

    typed: str
    skills: list[Skill]
    where: str
    name: str = ""
    called: Skill | None = None
    did: list[Turn] = field(default_factory=list)
    prompts: dict[str, Prompt] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    plain_answer: str = ""
    fixed: dict[str, View] = field(default_factory=dict)
    report: Report = field(default_factory=Report)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    with ExitStack() as stack:
        own = state_folder() if p["own_files"] else stack.enter_context(scratch_folder())
        folder = own / FOLDER
        skill_files.seed(folder)
        skills, notices = skill_files.found(folder)
        where = (
            str(folder) if p["own_files"] else "those that come with this lesson; turn on `your own files` to edit them"
        )
        trace = SkillTrace(p["text"].strip(), skills, "\n".join((where, *notices)))
        said = _said(folder, trace, p["expand"])
    trace.prompts[TYPED] = prompt_of(engine, skills, [(trace.typed, YOURS)])
    trace.prompts[SENT] = prompt_of(engine, skills, said)
    yield from _run(engine, trace, p)


def _said(folder: Path, trace: SkillTrace, expand: bool) -> list[Said]:
    """The message the model gets: what was typed, or what the called skill makes of it. Raises InputError."""
    if not trace.typed:
        raise InputError("nothing was typed", "Type a skill, such as /haiku rain.")
    command = skill_files.command(trace.typed)
    trace.name = command[0] if command else ""
    if command and expand:
        trace.called = skill_files.called(folder, trace.skills, command[0])
    if command is None or trace.called is None:
        trace.did.append(Turn("software", _why_as_typed(trace, expand)))
        return [(trace.typed, YOURS)]
    trace.did.append(Turn("software", f"saw a slash, and opened {trace.name}/{skill_files.FILE}", trace.called.body))
    return [(skill_files.expanded(trace.called, ""), INSTRUCTIONS), (f" {command[1]}" if command[1] else "", YOURS)]


def _why_as_typed(trace: SkillTrace, expand: bool) -> str:
    if not trace.typed.startswith("/"):
        return "saw no slash, and passed on what you typed"
    if not expand:
        return "looked for no skill, and passed on what you typed"
    return f"saw a slash, found no skill {spelt(trace.name)}, and passed on what you typed"


def _run(engine: Engine, trace: SkillTrace, p: Mapping[str, Any]) -> Iterator[Frame]:
    typed, sent = (list(trace.prompts[kind].ids) for kind in (TYPED, SENT))
    check = trace.called.check if trace.called and p["check"] != NOBODY else None
    room = p["max_new_tokens"] if check is None else p["most"] * (p["max_new_tokens"] + 32)
    for ids in (typed, sent):
        engine.fits(ids, room)
    trace.report.measure(_prompts(engine, trace))
    trace.fixed = _fixed(engine, trace)
    yield _frame(engine, trace, p["check"], 0.05)

    model = PrefixCachedModel(engine.model)
    answering = Answering(engine, model, check, p["check"], p["most"], p["max_new_tokens"])
    for attempts in answering.attempts(sent):
        trace.attempts = attempts
        yield _frame(engine, trace, p["check"], 0.2)
    done = verdict(trace.attempts, check is not None)
    trace.plain_answer = trace.attempts[0].text if typed == sent else engine.write(typed, p["max_new_tokens"])
    last = trace.attempts[-1]
    trace.report.measure(
        answer_before=trace.plain_answer,
        answer_after=last.text,
        answers_differ=trace.plain_answer != last.text,
        check=str(check or ""),
        attempts=len(trace.attempts),
        passed_check=check is not None and not last.fault,
        fault=last.fault,
        same_again=p["check"] == TELL and len(trace.attempts) > 1 and last.text == trace.attempts[-2].text,
    )
    yield _frame(engine, trace, p["check"], 0.7, done)
    trace.report.measure(prefill_ms_added=_added_ms(engine, typed, sent))
    yield _frame(engine, trace, p["check"], None, done)


def _added_ms(engine: Engine, typed: list[int], sent: list[int]) -> float:
    """How much longer the model reads what was sent, by the fastest of some readings of each, taken in turns."""
    if typed == sent:
        return 0.0
    times = {TYPED: list[float](), SENT: list[float]()}
    for _ in range(REPEATS if len(typed) + len(sent) <= LONG else 1):
        for kind, ids in ((TYPED, typed), (SENT, sent)):
            times[kind].append(timed(prefill, engine.model, ids)[1])
    return Timing.of(times[SENT]).fastest - Timing.of(times[TYPED]).fastest


def _prompts(engine: Engine, trace: SkillTrace) -> dict[str, Any]:
    """What the two prompts are made of, and whether the same message typed by hand would have given the same."""
    encode = engine.tokenizer.encode
    message = "".join(text for text, kind in trace.prompts[SENT].made_of if kind in (INSTRUCTIONS, YOURS))
    by_hand = prompt_of(engine, trace.skills, [(message, YOURS)])
    return {
        "skill": trace.called.name if trace.called else "none",
        "slash_typed": trace.typed.startswith("/"),
        "skills_listed": len(trace.skills),
        "skill_tokens": len(encode(trace.called.body)) if trace.called else 0,
        "listing_tokens": len(encode(skill_files.listing(trace.skills))),
        "all_skills_tokens": sum(len(encode(skill.body)) for skill in trace.skills),
        "prompt_tokens_before": len(trace.prompts[TYPED].ids),
        "prompt_tokens_after": len(trace.prompts[SENT].ids),
        "slash_command_in_model_input": trace.typed.startswith("/") and trace.typed.split()[0] in message,
        "same_as_typed_by_hand": by_hand.ids == trace.prompts[SENT].ids,
    }


def _frame(
    engine: Engine, trace: SkillTrace, how: str, progress: float | None = None, done: Turn | None = None
) -> Frame:
    answers = Diff("the answers", trace.plain_answer, trace.attempts[-1].text, TYPED, SENT) if done else None
    trace.report.show(
        the_prompt=trace.fixed["the prompt"],
        who_did_what=who_did_what(engine, trace.did, trace.prompts[SENT], trace.attempts, how, done),
        the_answers=answers,
        what_it_costs=trace.fixed["what it costs"],
        the_skills=trace.fixed["the skills"],
        token_by_token=trace.fixed["token by token"],
        where_they_are=Text("where the skills are", trace.where),
    )
    return trace.report.frame(progress)


def _fixed(engine: Engine, trace: SkillTrace) -> dict[str, View]:
    """What is known before the model is asked."""
    typed, sent = trace.prompts[TYPED], trace.prompts[SENT]
    bodies = [(f"{skill.body}\n\n", INSTRUCTIONS) for skill in trace.skills]
    all_of_them = prompt_of(engine, trace.skills, [*bodies, (trace.typed, YOURS)])
    name = f"/{trace.called.name} became its instructions" if trace.called else "nothing was expanded"
    count = plural(len(typed.ids), "token")
    trace.report.say(f"{name}: {count} as typed, {len(sent.ids):,} as sent ({len(sent.ids) - len(typed.ids):+,}).")
    ways = {"only listed": typed, SENT: sent, "all pasted in": all_of_them}
    return {
        "the prompt": stacked(engine, "what the model is given, part by part", {TYPED: typed, SENT: sent}),
        "what it costs": stacked(engine, "instructions listed, called, or all of them pasted in", ways),
        "the skills": listed(engine, trace.skills, trace.called),
        "token by token": Tokens("what the model gets, token by token", engine.tokens(sent.ids)),
    }
