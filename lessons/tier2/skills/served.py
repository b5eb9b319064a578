"""A typed command, what the software here makes of it before a server sees anything, and a count of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_holes.engine.backends.backend import Ask, Backend, Capability, Message, answer
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Context, Contexts, Diff, Frame, Part, Transcript, Turn
from llm_holes.engine.harness.prompt import SYSTEM
from llm_holes.engine.numbers import plural
from llm_holes.engine.scratch import scratch_folder
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.state_file import state_folder
from llm_holes.lessons.tier2.skills import skill_files
from llm_holes.lessons.tier2.skills.skill_files import FOLDER, Skill

NEEDS: frozenset[Capability] = frozenset({"chat"})
VIEWS: Mapping[str, frozenset[Capability]] = {
    "the prompt": frozenset({"tokenize", "template"}),
    "who did what": frozenset(),
    "what it costs": frozenset({"tokenize", "template"}),
    "the answers": frozenset(),
}
BETS = frozenset({"slash_command_in_model_input", "passed_check"})
UNSEEN: Mapping[str, str] = {}
CONNECTIONS = 1
NOBODY, TELL = "nobody", "count, tell it"
TYPED, SENT, ALL = "as you typed it", "as it was sent", "all pasted in"
MARKS, TEXT, LIST, INSTRUCTIONS, YOURS = "marks", "system text", "list of skills", "instructions", "your words"
TEMPERATURE = 0.7
Said = tuple[str, str]
"""A text, and what kind of text it is."""


@dataclass
class Trace:
    """What was typed, what the software made of it, and the answers; of the last, what a count found."""

    typed: str
    skills: list[Skill]
    called: Skill | None
    said: list[Said]
    did: list[Turn] = field(default_factory=list)
    plain: str | None = None
    texts: list[str] = field(default_factory=list)
    fault: str = ""
    report: Report = field(default_factory=Report)

    @property
    def sent(self) -> str:
        return "".join(text for text, _ in self.said)


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    with ExitStack() as stack:
        folder = (state_folder() if p["own_files"] else stack.enter_context(scratch_folder())) / FOLDER
        skill_files.seed(folder)
        trace = _made_of(folder, p["text"].strip(), p["expand"])
    slash = trace.typed.startswith("/")
    trace.report.measure(
        skill=trace.called.name if trace.called else "none",
        slash_typed=slash,
        skills_listed=len(trace.skills),
        slash_command_in_model_input=slash and trace.typed.split()[0] in trace.sent,
        **({} if trace.called else {"skill_tokens": 0}),
    )
    if {"tokenize", "template"} <= backend.capabilities:
        _count(backend, trace)
    yield _frame(trace, 0.2)
    yield from _answers(backend, trace, p)
    if trace.sent == trace.typed:
        trace.plain = trace.texts[0]
    else:
        trace.plain = answer(backend, Ask(_talk(trace, trace.typed), p["max_new_tokens"])).text
    check = trace.called.check if trace.called and p["check"] != NOBODY else None
    trace.report.measure(
        answer_before=trace.plain,
        answer_after=trace.texts[-1],
        answers_differ=trace.plain != trace.texts[-1],
        check=str(check or ""),
        attempts=len(trace.texts),
        passed_check=check is not None and not trace.fault,
        fault=trace.fault,
        same_again=p["check"] == TELL and len(trace.texts) > 1 and trace.texts[-1] == trace.texts[-2],
    )
    yield _frame(trace, None)


def _made_of(folder: Path, typed: str, expand: bool) -> Trace:
    """What the software makes of what was typed. Raises InputError."""
    if not typed:
        raise InputError("nothing was typed", "Type a skill, such as /haiku rain.")
    skills, _ = skill_files.found(folder)
    command = skill_files.command(typed)
    called = skill_files.called(folder, skills, command[0]) if command and expand else None
    if command is None or called is None:
        why = f"found no skill {spelt(command[0])}" if command and expand else "looked for no skill"
        return Trace(typed, skills, None, [(typed, YOURS)], [Turn("software", f"{why}, and passed on what you typed")])
    did = Turn("software", f"saw a slash, and opened {called.name}/{skill_files.FILE}", called.body)
    said = [(skill_files.expanded(called, ""), INSTRUCTIONS), (f" {command[1]}" if command[1] else "", YOURS)]
    return Trace(typed, skills, called, said, [did])


def _talk(trace: Trace, message: str) -> tuple[Message, ...]:
    return {"role": "system", "content": _system(trace)}, {"role": "user", "content": message}


def _system(trace: Trace) -> str:
    return f"{SYSTEM} Skills the user can call:{skill_files.listing(trace.skills)}" if trace.skills else SYSTEM


def _count(backend: Backend, trace: Trace) -> None:
    """The prompts in tokens, part by part."""

    def size(text: str) -> int:
        return len(backend.encode(text)) if text else 0

    def context(name: str, said: Sequence[Said]) -> Context:
        whole = backend.rendered(_talk(trace, "".join(text for text, _ in said)))
        parts = [(SYSTEM, TEXT), (_system(trace).removeprefix(SYSTEM), LIST), *said]
        found = [Part(kind, size(text), kind, text) for text, kind in parts if text]
        marks = len(backend.encode(whole, specials=True)) - sum(part.tokens for part in found)
        return Context(name, (Part(MARKS, max(marks, 0), MARKS), *found))

    bodies = [(f"{skill.body}\n\n", INSTRUCTIONS) for skill in trace.skills]
    typed, sent = context(TYPED, [(trace.typed, YOURS)]), context(SENT, trace.said)
    every = context(ALL, [*bodies, (trace.typed, YOURS)])
    length = {one.name: sum(part.tokens for part in one.parts) for one in (typed, sent)}
    trace.report.show(
        the_prompt=Contexts("what the model is given, part by part", (typed, sent)),
        what_it_costs=Contexts("instructions listed, called, or all of them pasted in", (typed, sent, every)),
    )
    trace.report.measure(
        skill_tokens=size(trace.called.body) if trace.called else 0,
        listing_tokens=size(skill_files.listing(trace.skills)),
        all_skills_tokens=sum(size(skill.body) for skill in trace.skills),
        prompt_tokens_before=length[TYPED],
        prompt_tokens_after=length[SENT],
    )


def _answers(backend: Backend, trace: Trace, p: Mapping[str, Any]) -> Iterator[Frame]:
    """Answers until a count is satisfied, or as many as are set."""
    check = trace.called.check if trace.called and p["check"] != NOBODY else None
    messages = list(_talk(trace, trace.sent))
    for n in range(p["most"] if check else 1):
        drawn = n > 0 and p["check"] != TELL
        ask = Ask(tuple(messages), p["max_new_tokens"], temperature=TEMPERATURE if drawn else 0.0, seed=n or None)
        given = answer(backend, ask)
        trace.texts.append(given.text)
        trace.did.append(Turn("model", f"answer {n + 1}", given.text))
        trace.fault = check.fault(given.text, given.ended.reason == "end token") if check else ""
        if not trace.fault:
            done = "counted: it fits, so the answer is yours" if check else "counted nothing: the answer is as it is"
            trace.did.append(Turn("software", done))
            break
        trace.did.append(Turn("software", f"counted: {trace.fault}"))
        if not drawn and p["check"] == TELL:
            wrong = f"Wrong: {trace.fault}. Write exactly {check}."
            messages += [{"role": "assistant", "content": given.text}, {"role": "user", "content": wrong}]
        yield _frame(trace, 0.3 + 0.5 * (n + 1) / p["most"])
    else:
        trace.did.append(Turn("software", f"gave up after {plural(len(trace.texts), 'answer')}"))


def _frame(trace: Trace, progress: float | None) -> Frame:
    kept = [view for view in trace.report.views if view.key in ("the prompt", "what it costs")]
    both = Diff("the answers", trace.plain, trace.texts[-1], TYPED, SENT) if trace.plain is not None else None
    trace.report.show(
        *kept,
        who_did_what=Transcript("from what you typed to the answer", tuple(trace.did)),
        the_answers=both,
    )
    name = f"/{trace.called.name} became its instructions" if trace.called else "nothing was expanded"
    trace.report.say(f"{name}: {plural(len(trace.sent), 'character')} were sent.")
    return trace.report.frame(progress)
