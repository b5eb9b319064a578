"""One question, answered straight and after notes: the model's own, correct ones, edited ones, and filler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame
from llm_holes.engine.generation.continuations import common, prefill, score_continuations
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.lessons.tier1.thinking.sums import ANSWER, MISTAKE, NOTES, conversation, drawn, sum_in
from llm_holes.lessons.tier1.thinking.trials import ends_notes, goes_on, padding, rates
from llm_holes.lessons.tier1.thinking.views import CORRECT, EDITED, FILLER, NONE, OWN, Outcome, ThinkingTrace, frame

ANSWER_TOKENS = 8
PROBES = 8
ROOM = 64
"""For the words around notes and answers."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    engine.tokenizer.needs_chat()
    encode, budget, sums = engine.tokenizer.encode, p["thinking_tokens"], drawn(p["trials"], p["seed"])
    prompts = [
        engine.tokenizer.chat_ids(conversation(question)) for question in (p["text"], *(s.question for s in sums))
    ]
    if (length := len(encode(p["expected"]))) > ROOM:
        raise InputError(f"the right answer has {length:,} tokens", f"Shorten it to {ROOM} at most.")
    longest = max(budget, *(len(encode(p[name])) for name in ("text_good", "text_wrong", "expected", "text")))
    prompt = engine.fits(prompts[0], longest + ROOM)
    shared = common(prompts)
    start = prefill(engine.model, prompt[:shared])
    cache = start.copies(1, len(prompt) - shared + longest + ROOM)
    last_logits(engine.model, prompt[shared:], cache)
    straight = ""
    if not p["expected"].strip() and sum_in(p["text"]) is None:
        straight = written(engine, cache, last_logits(engine.model, encode(ANSWER), cache))
        cache.truncate(len(prompt))
    trace = wanted(p, straight)
    trace.outcomes.append(answered(engine, cache, NONE, 0, 0.0, encode(ANSWER), trace.expected))
    yield frame(engine, trace, prompt, 0.1)
    yield from _think(engine, cache, trace, prompt, budget)
    good = encode(f" {trace.correct}")
    injected = {FILLER: padding(engine, p["filler"], len(good)), CORRECT: good, EDITED: encode(f" {trace.edited}")}
    for kind, ids in injected.items():
        text = encode(NOTES) + ids + encode(f"\n{ANSWER}")
        trace.outcomes.append(answered(engine, cache, kind, len(ids), 0.0, text, trace.expected))
        yield frame(engine, trace, prompt, 0.5)
    own = [token for token, _, _ in trace.thoughts]
    texts = {NONE: encode(ANSWER)}
    texts |= {kind: encode(NOTES) + ids + encode(f"\n{ANSWER}") for kind, ids in {OWN: own, **injected}.items()}
    trace.candidates = compared(engine, cache, texts, trace.named())
    yield frame(engine, trace, prompt, 0.6)
    for rate in rates(engine, start, [ids[shared:] for ids in prompts[1:]], sums, p["filler"], budget):
        trace.rates.append(rate)
        yield frame(engine, trace, prompt, 0.6 + len(trace.rates) / 18)
    yield frame(engine, trace, prompt, None)


def wanted(p: Mapping[str, Any], straight: str) -> ThinkingTrace:
    """What is asked for: the right answer, correct notes and edited ones, as set, or worked out if the question is a
    sum. Of another question whose answer was not given, the model's own `straight` answer counts as the right one."""
    asked = sum_in(p["text"])
    expected = p["expected"].strip() or (str(asked.total) if asked else "") or straight
    good = p["text_good"].strip() or (asked.steps() if asked else f"It is {expected}.")
    edited = p["text_wrong"].strip() or (asked.steps(MISTAKE) if asked else "It is Atlantis.")
    given = bool(p["expected"].strip()) or asked is not None
    return ThinkingTrace(p["text"], expected, good, edited, asked is not None, not given, p["hide"])


def answered(
    engine: Engine, cache: ContiguousCache, kind: str, tokens: int, ms: float, text: list[int], expected: str
) -> Outcome:
    """The answer the model writes after `text`, and the probability of the expected one; the cache stays as it was."""
    length, answer = cache.length, engine.tokenizer.encode(f" {expected}")
    logits, reading = timed(last_logits, engine.model, text, cache)
    rest = score_continuations(engine.model, cache, [answer[:1]], [answer[1:]])[0]
    p = float(logits.softmax(-1)[answer[0]]) * rest.p
    chosen = rest.chosen and int(logits.argmax()) == answer[0] and not goes_on(engine, rest.after)
    found = expected if chosen else written(engine, cache, logits)
    cache.truncate(length)
    return Outcome(kind, tokens, ms + reading, p, found)


def written(engine: Engine, cache: ContiguousCache, logits: Tensor) -> str:
    """What the model writes from these logits on, always taking the likeliest token, up to a new line; a dash if that
    comes at once."""
    found: list[int] = []
    while len(found) < ANSWER_TOKENS and not ends_notes(engine, token := int(logits.argmax())):
        found.append(token)
        logits = last_logits(engine.model, [token], cache)
    return engine.tokenizer.decode(found).strip() or "–"


def compared(
    engine: Engine, cache: ContiguousCache, texts: Mapping[str, list[int]], names: Sequence[str]
) -> dict[str, list[float]]:
    """For each kind of notes the probability of each of the answers named."""
    wanted = [engine.tokenizer.encode(f" {name}") for name in names]
    found: dict[str, list[float]] = {}
    for kind, ids in texts.items():
        length = cache.length
        last_logits(engine.model, ids[:-1], cache)  # read once for all answers
        scored = score_continuations(engine.model, cache, [ids[-1:]] * len(wanted), wanted)
        found[kind] = [one.p for one in scored]
        cache.truncate(length)
    return found


def _think(
    engine: Engine, cache: ContiguousCache, trace: ThinkingTrace, prompt: list[int], budget: int
) -> Iterator[Frame]:
    """The model writes notes until it begins a new line or the budget is spent; every few tokens it is asked."""
    encode, start = engine.tokenizer.encode, cache.length
    answer, asked = encode(f" {trace.expected}"), encode(f"\n{ANSWER}")
    trace.probes.append((0, trace.of(NONE).p))
    logits, ms = timed(last_logits, engine.model, encode(NOTES), cache)
    while len(trace.thoughts) < budget and not ends_notes(engine, token := int(logits.argmax())):
        trace.thoughts.append((token, float(logits.softmax(-1)[token]), ms))
        logits, ms = timed(last_logits, engine.model, [token], cache)
        if len(trace.thoughts) % max(1, budget // PROBES) == 0:
            trace.probes.append((len(trace.thoughts), score_continuations(engine.model, cache, [asked], [answer])[0].p))
        yield frame(engine, trace, prompt, 0.1 + 0.3 * len(trace.thoughts) / budget)
    spent = sum(ms for _, _, ms in trace.thoughts)
    trace.outcomes.append(answered(engine, cache, OWN, len(trace.thoughts), spent, asked, trace.expected))
    trace.probes.append((len(trace.thoughts), trace.of(OWN).p))
    cache.truncate(start)
    yield frame(engine, trace, prompt, 0.4)
