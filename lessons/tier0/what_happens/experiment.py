"""One message through the whole machine: the chat template, the tokens, the layers, and the loop that writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import getitem
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.engine.generation.generate import PREFILL_CHUNK, TextStream, last_logits
from llm_holes.engine.measure import repeated, timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import duration, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.operations import hooked
from llm_holes.engine.tokenizer.tokenizer import Detokenizer
from llm_holes.lessons.shared.prompt_parts import parts_of
from llm_holes.lessons.tier0.what_happens.after_the_answer import compare, next_message, sum_up
from llm_holes.lessons.tier0.what_happens.conversation import (
    BEGUN,
    SYSTEM,
    YOURS,
    by_source,
    made_of,
    what_is_sent,
)
from llm_holes.lessons.tier0.what_happens.trace import MessageTrace
from llm_holes.lessons.tier0.what_happens.views import Choice, both_answers, candidates, the_answer, what_it_reads

TOP = 8
REPEATS = 5


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    trace = MessageTrace(picked_at=p["pick_step"])
    yield from _before_the_model(engine, trace, p)
    cache = ContiguousCache(engine.model.config, len(trace.prompt) + p["max_new_tokens"])
    ms = 0.0
    for start in range(0, len(trace.prompt), PREFILL_CHUNK):
        chunk = trace.prompt[start : start + PREFILL_CHUNK]
        (logits, norms), chunk_ms = timed(_pass, engine, chunk, cache)
        ms += chunk_ms
        trace.stages.reading(cache.length, len(trace.prompt), ms)
        trace.report.measure(prefill_ms=ms)
        through = f"all {plural(engine.model.config.n_layers, 'layer')} in {duration(ms)}"
        trace.report.say(f"{plural(cache.length, 'token')} went through {through}.")
        if cache.length == len(trace.prompt):
            trace.stages.layers(engine.model.config.n_layers, norms, ms)
        yield _frame(engine, trace, 0.1)
    yield from _loop(engine, trace, p, cache, logits)


def _before_the_model(engine: Engine, trace: MessageTrace, p: Mapping[str, Any]) -> Iterator[Frame]:
    """Template, tokenizer and table, each timed by itself; the first two are no part of the model."""
    tokenizer, message = engine.tokenizer, [{"role": "user", "content": p["text"]}]
    used = p["chat_template"] and tokenizer.has_chat
    text, template = repeated(REPEATS, tokenizer.chat, message) if p["chat_template"] else (p["text"], None)
    template_ms = template.median if template and used else 0.0
    why_bare = "off" if not p["chat_template"] else "this model has none"
    trace.stages.template(text, p["text"], "" if used else why_bare, template_ms)
    trace.report.say(f"The model will be given {plural(len(text), 'character')}, {len(p['text']):,} of them yours.")
    yield _frame(engine, trace, 0.0)

    _, tokenize = repeated(REPEATS, tokenizer.encode, text, specials=used)
    ids = tokenizer.chat_ids(message) if used else tokenizer.encode(text)
    trace.forced = tokenizer.encode(p["forced"])
    trace.prompt = engine.fits(ids + trace.forced, p["max_new_tokens"])
    trace.answer = p["forced"]
    said = made_of(tokenizer, message) if used else [(p["text"], YOURS)]
    trace.parts = parts_of(engine, trace.prompt, [*said, (p["forced"], BEGUN)])
    trace.stages.tokens(trace.prompt, tokenize.median)
    table = engine.model.weights["model.embed_tokens.weight"]
    rows, embed = repeated(REPEATS, getitem, table, torch.tensor(trace.prompt))
    trace.stages.embedding(len(trace.prompt), rows.shape[-1], embed.median)
    trace.report.measure(
        prompt_tokens=len(trace.prompt),
        message_tokens=len(tokenizer.encode(p["text"])),
        forced_tokens=len(trace.forced),
        template_used=used,
        prompt_tokens_by_source=by_source(trace.parts),
        system_tokens=by_source(trace.parts)[SYSTEM],
        template_ms=template_ms,
        tokenize_ms=tokenize.median,
        tokenize_ms_spread=[tokenize.fastest, tokenize.slowest],
    )
    trace.report.say(f"{plural(len(trace.prompt), 'token')}, each now a row of {rows.shape[-1]:,} numbers.")
    yield _frame(engine, trace, 0.05)


def _loop(
    engine: Engine, trace: MessageTrace, p: Mapping[str, Any], cache: ContiguousCache, logits: Tensor
) -> Iterator[Frame]:
    """Pick a token, feed its id back, until one of them means the end."""
    out = TextStream(Detokenizer(engine.tokenizer), ())
    ms = trace.report.measured["prefill_ms"]
    for step in range(1, p["max_new_tokens"] + 1):
        choice = _pick(logits, p["pick_rank"] if step == p["pick_step"] else 1, ms)
        trace.choices.append(choice)
        name = engine.token_text(choice.token)
        trace.stages.turn(step, len(logits), [(engine.token_text(i), q) for i, q in choice.best], ms)
        trace.stages.pick(name, choice.token, choice.rank)
        ended = choice.token in engine.tokenizer.eos_ids
        if ended or step == p["max_new_tokens"]:
            trace.answer += (out.feed(choice.token) if not ended else "") + out.flush()
            reason = "end token" if ended else "max tokens"
            why = f"{spelt(name)} was picked; it is not shown" if ended else "as many tokens as allowed"
            trace.stages.stop(why, step, sum(turn.ms for turn in trace.choices))
            compare(engine, trace, p["max_new_tokens"])
            sum_up(engine, trace, reason, cache)
            yield _frame(engine, trace, 0.95)
            next_message(engine, trace, p, cache)
            yield _frame(engine, trace)
            return
        trace.answer += out.feed(choice.token)
        trace.stages.loop(choice.token)
        trace.report.say(f"Token {step}: {spelt(name)} with {percent(choice.p)}; its id goes back to the embedding.")
        yield _frame(engine, trace, 0.1 + 0.9 * step / p["max_new_tokens"])
        logits, ms = timed(last_logits, engine.model, [choice.token], cache)


def _pass(engine: Engine, ids: list[int], cache: ContiguousCache) -> tuple[Tensor, list[float]]:
    """Logits after the last of `ids`, and the norm of its vector before the first layer and after each one."""
    norms: list[float] = []

    def watch(x: Tensor) -> Tensor:
        norms.append(float(x[0, -1].norm()))
        return x

    model = hooked(engine.model, "hook_embed", watch)
    for layer in range(model.config.n_layers):
        model = hooked(model, tap(layer, "hook_resid_post"), watch)
    return last_logits(model, ids, cache), norms


def _pick(logits: Tensor, rank: int, ms: float) -> Choice:
    rank = min(rank, len(logits))
    best = logits.softmax(-1).topk(min(max(TOP, rank), len(logits)))
    top = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Choice(*top[rank - 1], rank, top[:TOP], ms)


def _frame(engine: Engine, trace: MessageTrace, progress: float | None = None) -> Frame:
    trace.report.show(
        the_loop=trace.stages.view(),
        what_it_reads=what_it_reads(engine, trace.prompt) if trace.prompt else None,
        candidates=candidates(engine, trace.choices, trace.picked_at, trace.branch) if trace.choices else None,
        both_answers=both_answers(trace.answer, trace.branch) if trace.choices else None,
        the_answer=the_answer(engine, trace.choices) if trace.choices else None,
        the_machine_around_it=trace.around,
        what_is_sent=what_is_sent(trace.parts, trace.following.parts) if trace.around else None,
    )
    return trace.report.frame(progress)
