"""A fact in an old conversation, in the one that is re-sent, cut off by a window, and pasted from a store on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bars, Frame, Table, Text, Tokens
from llm_holes.engine.harness.prompt import SYSTEM, Message, ids_of, pieces
from llm_holes.engine.numbers import percent, plural
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.state_file import state_folder
from llm_holes.lessons.tier1.memory.memory_store import MemoryStore
from llm_holes.lessons.tier1.memory.retrieval import Found, Prompt, Recall, asked, attention, nearest, recall

SHOWN = 12
NEW, RESENT, WINDOW, PASTED = "a new conversation", "all of it re-sent", "only the window", "memory pasted in"
SMALL_TALK = ("It rained all day today.", "Then it was a good day to read.", "I did, and now I am tired.", "Rest well.")


@dataclass
class MemoryTrace:
    """What has been measured so far."""

    fact: str
    store: str = ""
    recalls: dict[str, Recall] = field(default_factory=dict)
    prompts: dict[str, Prompt] = field(default_factory=dict)
    ranking: list[Found] = field(default_factory=list)
    picked: int = 0
    weights: list[float] = field(default_factory=list)
    report: Report = field(default_factory=Report)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    trace = MemoryTrace(p["expected"].strip())
    if not (trace.fact and p["text"].strip()):
        raise InputError("there is nothing to remember", "Fill in what is told and the word to look for.")
    with ExitStack() as stack:
        folder = state_folder() if p["keep"] else Path(stack.enter_context(TemporaryDirectory(prefix="llm-holes-")))
        yield from _run(engine, p, trace, MemoryStore(folder))


def _run(engine: Engine, p: Mapping[str, Any], trace: MemoryTrace, store: MemoryStore) -> Iterator[Frame]:
    store.add(p["text"].strip())
    forgotten = store.forget(p["forget"].strip()) if p["forget"].strip() else 0
    where = str(store.path) if p["keep"] else "a private one, deleted after this run; turn on `keep on disk` to have it"
    trace.store = f"{where}\n{store.notice}".strip()

    whole = conversation(engine, p["text"], p["text_b"])
    window = whole[-p["window"] :]
    trace.prompts = {NEW: asked(engine, p["text_b"], ()), RESENT: Prompt(whole), WINDOW: Prompt(window)}
    for kind, prompt in trace.prompts.items():
        _recall(engine, p, trace, kind, prompt, p["max_new_tokens"] if kind == NEW else 0)
        yield _frame(engine, trace, 0.1 + 0.1 * len(trace.recalls))

    trace.ranking, trace.picked = nearest(engine, p["layer"], p["text_b"], store.all()), p["top_k"]
    yield _frame(engine, trace, 0.6)
    pasted = asked(engine, p["text_b"], [found.text for found in trace.ranking[: trace.picked]])
    trace.prompts[PASTED] = pasted
    _recall(engine, p, trace, PASTED, pasted, p["max_new_tokens"])
    trace.weights = attention(engine, pasted, p["opening"])
    trace.report.measure(
        _retrieved(trace, p["text"].strip()),
        forgotten=forgotten,
        tokens_dropped=len(whole) - len(window),
        memory_tokens=pasted.end - pasted.start,
        attention_on_memory=sum(trace.weights[pasted.start : pasted.end]),
        attention_on_first_token=trace.weights[0],
    )
    trace.report.measure(_answers(trace))
    yield _frame(engine, trace)


def conversation(engine: Engine, told: str, question: str) -> list[int]:
    """One conversation: the fact, a little talk about something else, the question."""
    turns = [told, "I will remember that.", *SMALL_TALK, question]
    messages = [Message("user", t) if n % 2 == 0 else Message("assistant", t, "model") for n, t in enumerate(turns)]
    return ids_of(pieces(engine.tokenizer, [Message("system", SYSTEM), *messages]))


def _recall(
    engine: Engine, p: Mapping[str, Any], trace: MemoryTrace, kind: str, prompt: Prompt, new_tokens: int
) -> None:
    room = max(new_tokens, len(engine.tokenizer.encode(f"{p['opening']} {trace.fact}")))
    engine.fits(prompt.ids, room)
    if kind == WINDOW and prompt == trace.prompts[RESENT]:
        trace.recalls[kind] = trace.recalls[RESENT]
        return
    trace.recalls[kind] = recall(engine, prompt, p["opening"], trace.fact, new_tokens)


def _retrieved(trace: MemoryTrace, told: str) -> dict[str, Any]:
    """The place of what was told among the memories, 0 if it is not there any more."""
    by_dot = sorted(trace.ranking, key=lambda found: -found.dot)
    ranks = [next((n for n, f in enumerate(order, 1) if f.text == told), 0) for order in (trace.ranking, by_dot)]
    return {"memories": len(trace.ranking), "retrieved_rank": ranks[0], "rank_by_dot_product": ranks[1]}


def _frame(engine: Engine, trace: MemoryTrace, progress: float | None = None) -> Frame:
    recalls = trace.recalls
    title = f"P({trace.fact}) where it belongs, after"
    bars = Bars(title, tuple(recalls), tuple(r.p for r in recalls.values()), range=(0, 1))
    rows = tuple((kind, len(trace.prompts[kind].ids), str(r.prefill), r.p, r.answer) for kind, r in recalls.items())
    title = "what the model was given, and what it made of it"
    trace.report.show(
        chance_of_the_fact=bars,
        what_it_answers=Table(title, ("", "tokens", "prefill", f"P({trace.fact})", "it answers"), rows),
        the_store=_store(trace.ranking, trace.picked) if trace.ranking or progress is None else None,
        the_exact_prompt=_prompt(engine, trace) if trace.weights else None,
        where_it_is=Text("where the store is", trace.store),
    )
    # what the window leaves of the conversation tells more than the whole of it
    told = [f"{kind} {percent(r.p)}" for kind, r in recalls.items() if kind != RESENT or WINDOW not in recalls]
    trace.report.say(f"P({trace.fact}): {', '.join(told)}.")
    return trace.report.frame(progress)


def _store(ranking: Sequence[Found], picked: int) -> Table:
    rows = tuple((f.text, f.cosine, f.dot, "yes" if n < picked else "") for n, f in enumerate(ranking[:SHOWN]))
    title = f"the store: {plural(len(ranking), 'memory', 'memories')} by their cosine with the question"
    return Table(title, ("memory", "cosine", "dot product", "pasted in"), rows)


def _prompt(engine: Engine, trace: MemoryTrace) -> Tokens:
    ids, prompt = trace.prompts[PASTED].ids, trace.prompts[PASTED]
    weights = trace.weights[: len(ids)]
    notes = [
        f"{'memory, ' if prompt.start <= n < prompt.end else ''}{percent(weight)} of the attention"
        for n, weight in enumerate(weights)
    ]
    title = "the exact prompt with the memory, shaded by attention from the place of the fact"
    return Tokens(title, engine.tokens(ids, notes), tuple(weights), "attention")


def _answers(trace: MemoryTrace) -> dict[str, Any]:
    new, pasted = trace.recalls[NEW], trace.recalls[PASTED]
    return {
        "fact": trace.fact,
        "answer_without_memory": new.answer,
        "answer_with_memory": pasted.answer,
        "recalled_without_memory": trace.fact.casefold() in new.answer.casefold(),
        "recalled_with_memory": trace.fact.casefold() in pasted.answer.casefold(),
        "p_fact_without": new.p,
        "p_fact_with": pasted.p,
        "p_fact_in_conversation": trace.recalls[RESENT].p,
        "p_fact_in_window": trace.recalls[WINDOW].p,
        "prefill_ms_added": pasted.prefill.fastest - new.prefill.fastest,
    }
