"""A conversation that is sent again at each turn and cut off by a window; a store on disk; memories pasted from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bars, Context, Frame, Text, Tokens, Transcript, Turn
from llm_holes.engine.generation.continuations import common, prefill
from llm_holes.engine.harness.prompt import ids_of, pieces
from llm_holes.engine.numbers import count, percent, plural
from llm_holes.engine.scratch import scratch_folder
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.state_file import state_folder
from llm_holes.lessons.tier1.memory import places, placing, saving
from llm_holes.lessons.tier1.memory.memory_store import MemoryStore
from llm_holes.lessons.tier1.memory.retrieval import (
    Found,
    Prompt,
    Recall,
    asked,
    attention,
    chance,
    nearest,
    prefills,
    recall,
)
from llm_holes.lessons.tier1.memory.talk import conversation, published, sent, stack, with_memory_pasted

SHOWN = 14


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    if not (p["expected"].strip() and p["text"].strip()):
        raise InputError("there is nothing to remember", "Fill in what is told and the word to look for.")
    with ExitStack() as stack:
        folder = state_folder() if p["keep"] else stack.enter_context(scratch_folder())
        yield from _run(engine, p, MemoryStore(folder))


def _run(engine: Engine, p: Mapping[str, Any], store: MemoryStore) -> Iterator[Frame]:
    told, question, fact = p["text"].strip(), p["text_b"], p["expected"].strip()
    report = Report()
    store.add(told)
    report.measure(fact=fact)
    turns = sent(engine, messages := conversation(told, question, p["turns"]), p["turns"])
    whole = ids_of(pieces(engine.tokenizer, messages))
    _talk(report, turns, len(whole), p["window"])
    yield report.frame(0.05)
    forgotten = store.forget(p["forget"].strip()) if p["forget"].strip() else 0
    windowed = whole[-p["window"] :]
    known = chance(engine, whole, p["opening"], fact)
    left = known if windowed == whole else chance(engine, windowed, p["opening"], fact)
    report.measure(p_fact_in_conversation=known, p_fact_in_window=left)
    yield report.frame(0.2)

    ranking = nearest(engine, p["layer"], question, store.all(), p["mean_removed"])
    pasted = asked(engine, question, [found.text for found in ranking[: p["top_k"]]])
    new = asked(engine, question, ())
    report.measure(_retrieved(ranking, told), forgotten=forgotten, memory_tokens=pasted.end - pasted.start)
    new_chat = with_memory_pasted(engine, pasted.ids, pasted.start, pasted.end)
    report.show(what_is_sent=stack((*turns, new_chat), p["window"]), the_store=_store(ranking))
    yield report.frame(0.3)

    rival = told.replace(fact, p["rival"].strip()) if p["rival"].strip() and fact in told else ""
    found: dict[str, float] = {}
    others = places.OTHERS[p["others"]]
    shown = report.views
    prompts = dict(placing.placed(engine, question, told, rival if rival != told else "", others))
    start = prefill(engine.model, new.ids[: common([*prompts.values()])])
    for name, ids in prompts.items():
        found[name] = chance(engine, ids, p["opening"], fact, start)
        report.show(*shown, where_it_is_pasted=places.bars(fact, found))
        yield report.frame(0.3 + 0.03 * len(found))
    report.measure(places.published(found))

    keep = saving.chances_to_keep(engine, list(dict.fromkeys((told, question, *saving.OFFERED))))
    report.measure(_kept(keep, told, question))
    report.show_also(what_would_be_kept=saving.bars(keep))
    yield report.frame(0.7)

    without, with_memory = (
        recall(engine, each, p["opening"], fact, p["max_new_tokens"], start) for each in (new, pasted)
    )
    weights = attention(engine, pasted, p["opening"])
    report.measure(
        _answers(engine, fact, without, with_memory),
        attention_on_memory=sum(weights[pasted.start : pasted.end]),
        attention_on_first_token=weights[0],
    )
    _price(engine, report, new, pasted)
    report.show_also(
        the_whole_call=_call(engine, pasted, with_memory),
        chance_of_the_fact=_chances(report.measured),
        the_exact_prompt=_prompt(engine, pasted, weights),
        where_the_store_is=_where(store, p["keep"]),
    )
    m = report.measured
    report.say(f"P({fact}) in a new chat {percent(m['p_fact_without'])}, {percent(m['p_fact_with'])} with the memory.")
    yield report.frame()


def _talk(report: Report, turns: Sequence[Context], whole: int, window: int) -> None:
    """The conversation turn by turn; `whole` is how many tokens its last turn has."""
    report.measure(published(turns, whole, window))
    report.show(what_is_sent=stack(turns, window))
    cut = f", the oldest {count(whole - window)} of {count(whole)} cut off"
    last = plural(report.measured["tokens_last_turn"], "token")
    report.say(f"The last turn sends {last}{cut * (whole > window)}.")


def _retrieved(ranking: list[Found], told: str) -> dict[str, Any]:
    """The place of what was told among the memories, 0 if it is not there any more."""
    by_dot = sorted(ranking, key=lambda found: -found.dot)
    ranks = [next((n for n, f in enumerate(order, 1) if f.text == told), 0) for order in (ranking, by_dot)]
    spread = ranking[0].cosine - ranking[-1].cosine if ranking else 0.0
    return {
        "memories": len(ranking),
        "retrieved_rank": ranks[0],
        "rank_by_dot_product": ranks[1],
        "nearest_memory": ranking[0].text if ranking else "",
        "cosines_apart": spread,
    }


def _store(ranking: list[Found]) -> Bars:
    shown = ranking[:SHOWN]
    title = f"how near each of {plural(len(ranking), 'memory', 'memories')} is to the question"
    return Bars(title, tuple(f.text for f in shown), tuple(f.cosine for f in shown), "cosine", 0, (-1, 1))


def _kept(keep: Mapping[str, float], told: str, question: str) -> dict[str, Any]:
    names = {"told": told, "question": question, "allergy": saving.ALLERGY, "weather": saving.WEATHER, "ok": saving.OK}
    by_name: dict[str, Any] = {f"p_keep_{name}": keep[message] for name, message in names.items()}
    return by_name | {"keeps_by_form": saving.by_form(keep, told, question)}


def _answers(engine: Engine, fact: str, without: Recall, with_memory: Recall) -> dict[str, Any]:
    plain, recalled = (_text(engine, answer) for answer in (without, with_memory))
    return {
        "answer_without_memory": plain,
        "answer_with_memory": recalled,
        "recalled_without_memory": fact.casefold() in plain.casefold(),
        "recalled_with_memory": fact.casefold() in recalled.casefold(),
        "p_fact_without": without.p,
        "p_fact_with": with_memory.p,
    }


def _text(engine: Engine, recall: Recall) -> str:
    """The free answer without its end token."""
    return engine.tokenizer.decode([token for token in recall.answer if token not in engine.tokenizer.eos_ids])


def _price(engine: Engine, report: Report, new: Prompt, pasted: Prompt) -> None:
    """What it costs to read the question with the memory, and how much of that is the memory's."""
    plain, longer = prefills(engine, (new, pasted))
    weights = sum(w.numel() for w in engine.model.weights.values())
    report.measure(prefill_ms_added=longer.fastest - plain.fastest)
    report.cost = cost(engine, "reading one call", longer.fastest, 4 * weights, 2 * weights * len(pasted.ids))


def _chances(m: Mapping[str, Any]) -> Bars:
    chances = {
        "a new chat": m["p_fact_without"],
        "all re-sent": m["p_fact_in_conversation"],
        "the window": m["p_fact_in_window"],
        "memory pasted": m["p_fact_with"],
    }
    return Bars(f"P({m['fact']}) where it belongs", tuple(chances), tuple(chances.values()), range=(0, 1))


def _call(engine: Engine, prompt: Prompt, answer: Recall) -> Transcript:
    """One call, token by token: who put what in front of the model, and what it wrote."""
    given = (
        ("put in the system text", prompt.ids[: prompt.start]),
        ("pasted in the memory", prompt.ids[prompt.start : prompt.end]),
        ("put in your question", prompt.ids[prompt.end :]),
    )
    turns = [Turn("software", act, tokens=engine.tokens(ids)) for act, ids in given if ids]
    return Transcript(
        "all that the model is given", (*turns, Turn("model", "the answer", tokens=engine.tokens(answer.answer)))
    )


def _prompt(engine: Engine, prompt: Prompt, weights: list[float]) -> Tokens:
    shares = weights[: len(prompt.ids)]
    notes = [
        f"{'memory, ' if prompt.start <= n < prompt.end else ''}{percent(share)} of the attention"
        for n, share in enumerate(shares)
    ]
    title = "the exact prompt with the memory, shaded by attention from the place of the fact"
    return Tokens(title, engine.tokens(prompt.ids, notes), tuple(shares), "attention")


def _where(store: MemoryStore, kept: bool) -> Text:
    where = str(store.path) if kept else "a private one, deleted after this run; turn on `keep on disk` to have it"
    return Text("where the store is", f"{where}\n{store.notice}".strip())
