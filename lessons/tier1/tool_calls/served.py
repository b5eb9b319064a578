"""A server's own tools: it is told which there are, says which one is to be called, and our software runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from llm_holes.engine.backends.backend import Answer, Ask, Backend, Called, Capability, Message, answer
from llm_holes.engine.frames import Frame, Table, Text, Transcript, Turn
from llm_holes.engine.harness import tools
from llm_holes.engine.numbers import exact, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.served import OFFER
from llm_holes.lessons.shared.report import Report

NEEDS: frozenset[Capability] = frozenset({"chat", "tools"})
VIEWS: Mapping[str, frozenset[Capability]] = {
    "what happened": frozenset(),
    "first answer again": frozenset({"seed"}),
}
BETS = frozenset({"valid_call_rate_free", "answer_uses_result"})
UNSEEN: Mapping[str, str] = {
    "what is read": "An API does not show what is read of a talk for each answer.",
    "held in the grammar": "An API does not show which tokens a grammar rules out.",
}
STOPPED = "A server stops its model after each turn, and lets nobody take that away."
CONNECTIONS = 1
ROOMY = 2
"""How many times as many tokens as set a server's call may take: it has marks around it that are not shown."""
SANDBOX = Path(__file__).parent / "sandbox"


@dataclass
class Talk:
    """What was said so far, and what of it is published."""

    messages: list[Message]
    turns: list[Turn] = field(default_factory=list)
    call_text: str = ""
    parsed: bool = False
    result: str = ""
    answer: str = ""
    tool_ms: float = 0.0
    ended: str = ""
    report: Report = field(default_factory=Report)


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    given = _tools(p)
    talk = Talk([{"role": "user", "content": p["text"]}])
    talk.turns += [
        Turn("software", "told the server which tools there are", "\n".join(tool.name for tool in given), folded=True),
        Turn("software", "put in the user's message", p["text"]),
    ]
    if not p["steps_in"]:
        talk.report.show(what_happened=Text("nobody steps in", f"{STOPPED} {OFFER}"))
        talk.report.say(STOPPED)
        yield talk.report.frame()
        return
    yield _frame(talk, 0.1)
    for step in range(p["steps"] + 1):
        said = answer(backend, _ask(talk.messages, given, p))
        if not said.ended.calls or step == p["steps"]:
            _answered(talk, said)
            break
        _called(talk, said, given, bool(p["result"]))
        yield _frame(talk, 0.4)
    if "seed" in backend.capabilities:
        yield from _again(backend, talk, given, p)
    yield _frame(talk, None)


def _tools(p: Mapping[str, Any]) -> tuple[tools.Tool, ...]:
    table = tools.table_of(p["table"].replace(";", "\n"))
    every = (tools.calculator(), tools.lookup(table), tools.text_stats(), tools.clock(), tools.read_file(SANDBOX))
    chosen = every[: {"calculator": 1, "calculator, lookup": 2, "all five": 5}[p["tools"]]]
    return tuple(replace(tool, run=lambda arguments: p["result"]) for tool in chosen) if p["result"] else chosen


def _ask(messages: Sequence[Message], given: Sequence[tools.Tool], p: Mapping[str, Any], **others: Any) -> Ask:
    described = tuple({"type": "function", "function": tool.described()} for tool in given)
    return Ask(tuple(messages), ROOMY * p["max_new_tokens"], tools=described, **others)


def read(call: Called, given: Sequence[tools.Tool]) -> tuple[tools.Tool, msgspec.Struct] | str:
    """The tool that is called with its arguments, checked by the tool's own types; or why nothing can be called."""
    tool = next((tool for tool in given if tool.name == call.name), None)
    if tool is None:
        return f"there is no tool {call.name[:40]!r}"
    try:
        return tool, msgspec.json.decode(call.arguments or "{}", type=tool.arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return str(error)


def _called(talk: Talk, said: Answer, given: Sequence[tools.Tool], by_hand: bool) -> None:
    """The first call is run; a server that wants several at once gets this one's result first."""
    call = said.ended.calls[0]
    text = f"{call.name}({call.arguments})"
    talk.call_text = talk.call_text or text
    talk.turns.append(Turn("model", "wrote a call, which the server read", text))
    found = read(call, given)
    if isinstance(found, str):
        result = tools.Result(tools.as_data(f"error: {found}"), refused=True)
        talk.turns.append(Turn("software", "refused, and says so to the model", result.text))
    else:
        started = time.perf_counter()
        result = tools.run_tool(*found)
        talk.tool_ms += 0.0 if by_hand else (time.perf_counter() - started) * 1e3
        talk.parsed, talk.result = True, result.text
        act = "ran no tool: this result was given by hand" if by_hand else "ran the tool"
        talk.turns.append(Turn("software", "refused, and says so to the model" if result.refused else act, result.text))
    number = f"call_{len(talk.messages)}"
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    asked = {"id": number, "type": "function", "function": function}
    talk.messages += [
        {"role": "assistant", "content": "", "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": number, "content": result.text},
    ]


def _answered(talk: Talk, said: Answer) -> None:
    talk.answer, talk.ended = said.text, "step limit" if said.ended.calls else "answered"
    if said.text:
        talk.turns.append(Turn("model", "wrote an answer, in which the server read no call", said.text))
    talk.turns.append(Turn("software", f"stopped: {talk.ended}"))


def _again(backend: Backend, talk: Talk, given: Sequence[tools.Tool], p: Mapping[str, Any]) -> Iterator[Frame]:
    """The first answer with many seeds."""
    rows: list[tuple[str, str]] = []
    title = f"the first answer again, temperature {exact(p['temperature'])}, {plural(p['trials'], 'seed')}"
    valid = 0
    for n in range(p["trials"]):
        ask = _ask(talk.messages[:1], given, p, temperature=p["temperature"], seed=p["seed"] + n)
        said = answer(backend, ask)
        call = said.ended.calls[0] if said.ended.calls else None
        ok = call is not None and not isinstance(read(call, given), str)
        valid += ok
        rows.append(("✓" if ok else "✗", f"{call.name}({call.arguments})" if call else said.text))
        table = Table(title, ("call", "what it wrote"), tuple(rows))
        talk.report.measure(trials=n + 1, valid_call_rate_free=valid / (n + 1))
        yield _frame(talk, 0.5 + 0.5 * (n + 1) / (p["trials"] + 1), table)


def _frame(talk: Talk, progress: float | None, table: Table | None = None) -> Frame:
    kept = [view for view in talk.report.views if view.key == "first answer again"]
    talk.report.show(what_happened=Transcript("what happened, act by act", tuple(talk.turns)))
    if table is not None:
        talk.report.show_also(first_answer_again=table)
    else:
        talk.report.show_also(*kept)
    talk.report.measure(
        call_text=talk.call_text,
        call_parsed=talk.parsed,
        tool_result=talk.result,
        answer=talk.answer,
        answer_uses_result=bool(talk.result) and talk.result.casefold() in talk.answer.casefold(),
        tool_ms=talk.tool_ms,
        ended=talk.ended,
    )
    did = f"The software ran the tool: {spelt(talk.result[:60])}." if talk.result else "The software ran nothing."
    talk.report.say(did)
    return talk.report.frame(progress)
