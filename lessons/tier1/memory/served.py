"""What is sent to a served model at each turn, and what a sentence does that is pasted in front of a question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_holes.engine.backends.backend import Ask, Backend, Capability, answer, score
from llm_holes.engine.backends.backend import Message as Sent
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Context, Frame, Part, Transcript, Turn
from llm_holes.engine.harness.prompt import SYSTEM, Message
from llm_holes.engine.numbers import percent, plural
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier1.memory import places
from llm_holes.lessons.tier1.memory.talk import at_turn, conversation, published, stack, tokens_in

NEEDS: frozenset[Capability] = frozenset({"chat", "completions", "template", "tokenize", "top 20"})
VIEWS: Mapping[str, frozenset[Capability]] = {
    "what is sent": frozenset(),
    "where it is pasted": frozenset(),
    "the whole call": frozenset(),
}
BETS = frozenset({"sent_growth", "p_fact_among_others"})
UNSEEN: Mapping[str, str] = {
    "the store": "An API does not show the vectors by which this lesson finds a memory.",
    "what would be kept": "An API does not show how likely a yes is among all that could be said.",
}
CONNECTIONS = 1
TOP = 200
NEW, OLD, TEXT, MARKS = "new message", "old turns", "system text", "marks"


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    told, question, fact = p["text"].strip(), p["text_b"], p["expected"].strip()
    if not (told and fact):
        raise InputError("there is nothing to remember", "Fill in what is told and the word to look for.")
    report = Report()
    report.measure(fact=fact)
    messages = conversation(told, question, p["turns"])
    turns = tuple(_context(backend, turn, at_turn(messages, turn)) for turn in range(1, p["turns"] + 1))
    _talk(report, turns, p["window"])
    yield report.frame(0.2)

    whole = backend.encode(backend.rendered(_sent(messages)), specials=True)
    report.measure(p_fact_in_conversation=_chance(backend, p, b"".join(token.data for token in whole)))
    left = b"".join(token.data for token in whole[-p["window"] :])
    report.measure(p_fact_in_window=_chance(backend, p, left))
    yield report.frame(0.4)

    found: dict[str, float] = {}
    shown = report.views
    for name, prompt in _prompts(backend, p, told, question, fact).items():
        found[name] = _chance(backend, p, prompt.encode())
        report.show(*shown, where_it_is_pasted=places.bars(fact, found))
        yield report.frame(0.4 + 0.04 * len(found))
    report.measure(places.published(found))
    _call(backend, report, p, told, question, found)
    yield report.frame()


def _sent(messages: Sequence[Message]) -> list[Sent]:
    return [{"role": one.role, "content": one.content} for one in messages]


def _context(backend: Backend, turn: int, messages: Sequence[Message]) -> Context:
    """What is sent at a turn; what the template writes between the messages is one part."""
    total = len(backend.encode(backend.rendered(_sent(messages)), specials=True))
    names = [TEXT, *([OLD] * (len(messages) - 2)), NEW]
    parts = [
        Part(name, len(backend.encode(one.content)), name, one.content)
        for name, one in zip(names, messages, strict=True)
    ]
    return Context(f"turn {turn}", (Part(MARKS, total - sum(part.tokens for part in parts), MARKS), *parts))


def _talk(report: Report, turns: Sequence[Context], window: int) -> None:
    report.measure(published(turns, tokens_in(turns[-1]), window))
    report.show(what_is_sent=stack(turns, window))
    report.say(f"The last turn sends {plural(report.measured['tokens_last_turn'], 'token')}.")


def _chance(backend: Backend, p: Mapping[str, Any], prompt: bytes) -> float:
    """Of the fact, where the answer has begun with the opening."""
    text = prompt.decode("utf-8", "replace") + p["opening"]
    return score(backend, text, f" {p['expected'].strip()}", TOP)


def _prompts(backend: Backend, p: Mapping[str, Any], memory: str, question: str, fact: str) -> dict[str, str]:
    rival = memory.replace(fact, p["rival"].strip()) if p["rival"].strip() and fact in memory else ""
    rival = "" if rival == memory else rival
    orders = places.orders(memory, rival, places.OTHERS[p["others"]])
    found = {name: _chat(backend, SYSTEM, _pasted(order, question)) for name, order in orders.items()}
    found["after question"] = _chat(backend, SYSTEM, f"Question: {question}\nMemory: {memory}")
    found["system text"] = _chat(backend, f"{SYSTEM}\nMemory: {memory}", question)
    found["system, framed"] = _chat(backend, f"{SYSTEM}\n{places.FRAME}\nMemory: {memory}", question)
    return {name: found[name] for name in places.NAMES if rival or "deni" not in name}


def _pasted(memories: Sequence[str], question: str) -> str:
    if not memories:
        return question
    return "".join(f"Memory: {text}\n" for text in memories) + f"Question: {question}"


def _chat(backend: Backend, system: str, user: str) -> str:
    return backend.rendered([{"role": "system", "content": system}, {"role": "user", "content": user}])


def _call(
    backend: Backend, report: Report, p: Mapping[str, Any], told: str, question: str, found: Mapping[str, float]
) -> None:
    """One question with the memory and without it."""
    fact, room = p["expected"].strip(), p["max_new_tokens"]
    plain, recalled = (
        answer(backend, Ask(_chat(backend, SYSTEM, _pasted(order, question)), room)).text for order in ((), (told,))
    )
    report.measure(
        memory_tokens=len(backend.encode(f"Memory: {told}\n")),
        answer_without_memory=plain,
        answer_with_memory=recalled,
        recalled_without_memory=fact.casefold() in plain.casefold(),
        recalled_with_memory=fact.casefold() in recalled.casefold(),
        p_fact_without=found[places.NONE],
        p_fact_with=found["alone"],
    )
    turns = (
        Turn("software", "put in the system text", SYSTEM),
        Turn("software", "pasted in the memory", f"Memory: {told}"),
        Turn("software", "put in your question", f"Question: {question}"),
        Turn("model", "the answer", recalled),
    )
    report.show_also(the_whole_call=Transcript("all that the model is given", turns))
    m = report.measured
    report.say(f"P({fact}) in a new chat {percent(m['p_fact_without'])}, {percent(m['p_fact_with'])} with the memory.")
