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
from llm_holes.engine.frames import Bars, Frame, Table, Text, Tokens, View
from llm_holes.engine.harness.prompt import SYSTEM, Message, ids_of, pieces
from llm_holes.lessons.state_file import state_folder
from llm_holes.lessons.tier1.memory.memory_store import MemoryStore
from llm_holes.lessons.tier1.memory.retrieval import Found, Prompt, Recall, asked, attention, nearest, recall

SHOWN = 12
NEW, RESENT, WINDOW, PASTED = "a new conversation", "all of it re-sent", "only the window", "memory pasted in"
SMALL_TALK = ("It rained all day today.", "Then it was a good day to read.", "I did, and now I am tired.", "Rest well.")


@dataclass
class Trip:
    """What has been measured so far."""

    fact: str
    store: str = ""
    recalls: dict[str, Recall] = field(default_factory=dict)
    prompts: dict[str, Prompt] = field(default_factory=dict)
    ranking: list[Found] = field(default_factory=list)
    picked: int = 0
    weights: list[float] = field(default_factory=list)
    measured: dict[str, Any] = field(default_factory=dict)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    trip = Trip(p["expected"].strip())
    if not (trip.fact and p["text"].strip()):
        raise InputError("there is nothing to remember", "Fill in what is told and the word to look for.")
    with ExitStack() as stack:
        folder = state_folder() if p["keep"] else Path(stack.enter_context(TemporaryDirectory(prefix="llm-holes-")))
        yield from _run(engine, p, trip, MemoryStore(folder))


def _run(engine: Engine, p: Mapping[str, Any], trip: Trip, store: MemoryStore) -> Iterator[Frame]:
    store.add(p["text"].strip())
    forgotten = store.forget(p["forget"].strip()) if p["forget"].strip() else 0
    where = str(store.path) if p["keep"] else "a private one, deleted after this run; turn on `keep on disk` to have it"
    trip.store = f"{where}\n{store.notice}".strip()

    whole = conversation(engine, p["text"], p["text_b"])
    window = whole[-p["window"] :]
    trip.prompts = {NEW: asked(engine, p["text_b"], ()), RESENT: Prompt(whole), WINDOW: Prompt(window)}
    for kind, prompt in trip.prompts.items():
        _recall(engine, p, trip, kind, prompt, p["max_new_tokens"] if kind == NEW else 0)
        yield _frame(engine, trip, 0.1 + 0.1 * len(trip.recalls))

    trip.ranking, trip.picked = nearest(engine, p["layer"], p["text_b"], store.all()), p["top_k"]
    trip.measured |= _retrieved(trip, p["text"].strip()) | {"forgotten": forgotten}
    yield _frame(engine, trip, 0.6)
    pasted = asked(engine, p["text_b"], [found.text for found in trip.ranking[: trip.picked]])
    trip.prompts[PASTED] = pasted
    _recall(engine, p, trip, PASTED, pasted, p["max_new_tokens"])
    trip.weights = attention(engine, pasted, p["opening"])
    trip.measured |= {
        "tokens_dropped": len(whole) - len(window),
        "memory_tokens": pasted.end - pasted.start,
        "attention_on_memory": sum(trip.weights[pasted.start : pasted.end]),
        "attention_on_first_token": trip.weights[0],
    }
    yield _frame(engine, trip, None)


def conversation(engine: Engine, told: str, question: str) -> list[int]:
    """One conversation: the fact, a little talk about something else, the question."""
    turns = [told, "I will remember that.", *SMALL_TALK, question]
    messages = [Message("user", t) if n % 2 == 0 else Message("assistant", t, "model") for n, t in enumerate(turns)]
    return ids_of(pieces(engine.tokenizer, [Message("system", SYSTEM), *messages]))


def _recall(engine: Engine, p: Mapping[str, Any], trip: Trip, kind: str, prompt: Prompt, new_tokens: int) -> None:
    room = max(new_tokens, len(engine.tokenizer.encode(f"{p['opening']} {trip.fact}")))
    engine.fits(prompt.ids, room)
    if kind == WINDOW and prompt == trip.prompts[RESENT]:
        trip.recalls[kind] = trip.recalls[RESENT]
        return
    trip.recalls[kind] = recall(engine, prompt, p["opening"], trip.fact, new_tokens)


def _retrieved(trip: Trip, told: str) -> dict[str, Any]:
    """The place of what was told among the memories, 0 if it is not there any more."""
    by_dot = sorted(trip.ranking, key=lambda found: -found.dot)
    ranks = [next((n for n, f in enumerate(order, 1) if f.text == told), 0) for order in (trip.ranking, by_dot)]
    return {"memories": len(trip.ranking), "retrieved_rank": ranks[0], "rank_by_dot_product": ranks[1]}


def _frame(engine: Engine, trip: Trip, progress: float | None) -> Frame:
    recalls = trip.recalls
    bars = Bars(f"P({trip.fact}) where it belongs, after", tuple(recalls), tuple(r.p for r in recalls.values()))
    rows = tuple((kind, len(trip.prompts[kind].ids), str(r.prefill), r.p, r.answer) for kind, r in recalls.items())
    title = "what the model was given, and what it made of it"
    views: list[View] = [bars, Table(title, ("", "tokens", "prefill", f"P({trip.fact})", "it answers"), rows)]
    if trip.ranking:
        views.append(_store(trip.ranking, trip.picked))
    if trip.weights:
        views.append(_prompt(engine, trip))
    views.append(Text("where the store is", trip.store))
    if progress is None:
        trip.measured |= _measured(trip)
    caption = f"P({trip.fact}): " + ", ".join(f"{kind} {r.p:.3f}" for kind, r in recalls.items()) + "."
    return Frame(caption, tuple(views), dict(trip.measured) if progress is None else {}, progress)


def _store(ranking: Sequence[Found], picked: int) -> Table:
    rows = tuple((f.text, f.cosine, f.dot, "yes" if n < picked else "") for n, f in enumerate(ranking[:SHOWN]))
    title = f"the store: {len(ranking)} memories by their cosine with the question"
    return Table(title, ("memory", "cosine", "dot product", "pasted in"), rows)


def _prompt(engine: Engine, trip: Trip) -> Tokens:
    ids, prompt = trip.prompts[PASTED].ids, trip.prompts[PASTED]
    weights = trip.weights[: len(ids)]
    notes = [
        f"{'memory, ' if prompt.start <= n < prompt.end else ''}{weight:.1%} of the attention"
        for n, weight in enumerate(weights)
    ]
    title = "the exact prompt with the memory, shaded by attention from the place of the fact"
    return Tokens(title, engine.tokens(ids, notes), tuple(weights), "attention")


def _measured(trip: Trip) -> dict[str, Any]:
    new, pasted = trip.recalls[NEW], trip.recalls[PASTED]
    return {
        "fact": trip.fact,
        "answer_without_memory": new.answer,
        "answer_with_memory": pasted.answer,
        "recalled_without_memory": trip.fact.casefold() in new.answer.casefold(),
        "recalled_with_memory": trip.fact.casefold() in pasted.answer.casefold(),
        "p_fact_without": new.p,
        "p_fact_with": pasted.p,
        "p_fact_in_conversation": trip.recalls[RESENT].p,
        "p_fact_in_window": trip.recalls[WINDOW].p,
        "prefill_ms_added": pasted.prefill.fastest - new.prefill.fastest,
    }
