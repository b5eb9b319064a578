"""One question, answered straight and after notes: the model's own, correct ones, wrong ones, and filler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame
from llm_holes.engine.generation.continuations import common, prefill, score_continuations
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.lessons.tier1.thinking.sums import ANSWER, MISTAKE, NOTES, conversation, drawn, sum_in
from llm_holes.lessons.tier1.thinking.trials import ends_notes, goes_on, padding, rates
from llm_holes.lessons.tier1.thinking.views import OWN, Outcome, ThinkingTrace, frame

ANSWER_TOKENS = 8
PROBES = 8


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    engine.tokenizer.needs_chat()
    encode, budget = engine.tokenizer.encode, p["thinking_tokens"]
    expected, good, wrong = wanted(p)
    injected = {"correct notes": encode(f" {good}"), "wrong notes": encode(f" {wrong}")}
    injected["filler"] = padding(engine, p["filler"], len(injected["correct notes"]))
    room = max(budget, *map(len, injected.values())) + len(encode(f"{NOTES}\n{ANSWER} {expected}")) + ANSWER_TOKENS
    sums = drawn(p["trials"], p["seed"])
    prompts = [
        engine.tokenizer.chat_ids(conversation(question)) for question in (p["text"], *(s.question for s in sums))
    ]
    prompt = engine.fits(prompts[0], room)
    shared = common(prompts)
    start, trace = prefill(engine.model, prompt[:shared]), ThinkingTrace(expected)
    cache = start.copies(1, len(prompt) - shared + room)
    last_logits(engine.model, prompt[shared:], cache)
    trace.outcomes.append(answered(engine, cache, "no notes", 0, 0.0, encode(ANSWER), expected))
    yield frame(engine, trace, prompt, 0.1)
    yield from _think(engine, cache, trace, prompt, budget)
    for kind, ids in injected.items():
        text = encode(NOTES) + ids + encode(f"\n{ANSWER}")
        trace.outcomes.append(answered(engine, cache, kind, len(ids), 0.0, text, expected))
        yield frame(engine, trace, prompt, 0.5)
    for rate in rates(engine, start, [ids[shared:] for ids in prompts[1:]], sums, p["filler"], budget):
        trace.rates.append(rate)
        yield frame(engine, trace, prompt, 0.5 + len(trace.rates) / 14)
    yield frame(engine, trace, prompt, None)


def wanted(p: Mapping[str, Any]) -> tuple[str, str, str]:
    """The right answer, correct notes and wrong notes: as set, or worked out if the question is a sum."""
    asked = sum_in(p["text"])
    expected = p["expected"].strip() or (str(asked.total) if asked else "")
    if not expected:
        raise InputError("the right answer is not known", "Fill in the right answer, or ask for a sum such as 7 + 5.")
    good = p["text_good"].strip() or (asked.steps() if asked else f"It is {expected}.")
    return expected, good, p["text_wrong"].strip() or (asked.steps(MISTAKE) if asked else "It is Atlantis.")


def answered(
    engine: Engine, cache: ContiguousCache, kind: str, tokens: int, ms: float, text: list[int], expected: str
) -> Outcome:
    """The answer the model writes after `text`, and the probability of the expected one; the cache stays as it was."""
    length, answer = cache.length, engine.tokenizer.encode(f" {expected}")
    logits, reading = timed(last_logits, engine.model, text, cache)
    rest = score_continuations(engine.model, cache, [answer[:1]], [answer[1:]])[0]
    p = float(logits.softmax(-1)[answer[0]]) * rest.p
    found: list[int] = []
    if rest.chosen and int(logits.argmax()) == answer[0] and not goes_on(engine, rest.after):
        found = answer
    while found is not answer and len(found) < ANSWER_TOKENS and not ends_notes(engine, token := int(logits.argmax())):
        found.append(token)
        logits = last_logits(engine.model, [token], cache)
    cache.truncate(length)
    return Outcome(kind, tokens, ms + reading, p, engine.tokenizer.decode(found).strip())


def _think(
    engine: Engine, cache: ContiguousCache, trace: ThinkingTrace, prompt: list[int], budget: int
) -> Iterator[Frame]:
    """The model writes notes until it begins a new line or the budget is spent; every few tokens it is asked."""
    encode, start = engine.tokenizer.encode, cache.length
    answer, asked = encode(f" {trace.expected}"), encode(f"\n{ANSWER}")
    logits, ms = timed(last_logits, engine.model, encode(NOTES), cache)
    trace.probes.append((0, score_continuations(engine.model, cache, [asked], [answer])[0].p))
    while len(trace.thoughts) < budget and not ends_notes(engine, token := int(logits.argmax())):
        trace.thoughts.append((token, float(logits.softmax(-1)[token]), ms))
        logits, ms = timed(last_logits, engine.model, [token], cache)
        if len(trace.thoughts) % max(1, budget // PROBES) == 0:
            trace.probes.append((len(trace.thoughts), score_continuations(engine.model, cache, [asked], [answer])[0].p))
        yield frame(engine, trace, prompt, 0.1 + 0.3 * len(trace.thoughts) / budget)
    spent = sum(ms for _, _, ms in trace.thoughts)
    trace.outcomes.append(answered(engine, cache, OWN, len(trace.thoughts), spent, asked, trace.expected))
    trace.probes.append((len(trace.thoughts), trace.outcomes[-1].p))
    cache.truncate(start)
    yield frame(engine, trace, prompt, 0.4)
