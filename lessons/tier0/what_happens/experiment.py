"""One message through the whole machine: the chat template, the tokens, the layers, and the loop that writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Frame, Tokens, View
from llm_holes.engine.generation.generate import PREFILL_CHUNK, TextStream, last_logits
from llm_holes.engine.measure import Timing, repeated, timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import hooked
from llm_holes.engine.tokenizer.tokenizer import Detokenizer
from llm_holes.lessons.tier0.what_happens.stages import Stages

TOP = 8
REPEATS = 5
SHOWN_PROMPT = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """One turn of the loop. `rank` 1 is the likeliest; `ms` is the pass that led to it."""

    token: int
    p: float
    rank: int
    best: tuple[tuple[int, float], ...]
    ms: float


@dataclass
class Trip:
    """What has happened so far; `answer` is what the learner sees of it."""

    stages: Stages = field(default_factory=Stages)
    prompt: list[int] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    answer: str = ""
    measured: dict[str, Any] = field(default_factory=dict)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    trip = Trip()
    yield from _before_the_model(engine, trip, p)
    cache = ContiguousCache(engine.model.config, len(trip.prompt) + p["max_new_tokens"])
    ms = 0.0
    for start in range(0, len(trip.prompt), PREFILL_CHUNK):
        chunk = trip.prompt[start : start + PREFILL_CHUNK]
        (logits, lengths), chunk_ms = timed(lambda: _pass(engine, chunk, cache))  # noqa: B023
        ms += chunk_ms
        trip.stages.reading(cache.length, len(trip.prompt), ms)
        trip.measured["prefill_ms"] = ms
        caption = f"{cache.length:,} tokens went through all {engine.model.config.n_layers} layers in {ms:.0f} ms."
        if cache.length == len(trip.prompt):
            trip.stages.layers(engine.model.config.n_layers, lengths, ms)
        yield _frame(engine, trip, caption, 0.1)
    yield from _loop(engine, trip, p, cache, logits)


def _before_the_model(engine: Engine, trip: Trip, p: Mapping[str, Any]) -> Iterator[Frame]:
    """Template, tokenizer and table, each timed by itself; the first two are no part of the model."""
    tokenizer, message = engine.tokenizer, [{"role": "user", "content": p["text"]}]
    text, template = (p["text"], None) if not p["chat_template"] else repeated(lambda: tokenizer.chat(message), REPEATS)
    trip.stages.template(text, p["text"], p["chat_template"], template.median if template else 0.0)
    yield _frame(engine, trip, f"The model will be given {len(text):,} characters; {len(p['text']):,} are yours.", 0.0)

    _, tokenize = repeated(lambda: tokenizer.encode(text, specials=p["chat_template"]), REPEATS)
    ids = tokenizer.chat_ids(message) if p["chat_template"] else tokenizer.encode(text)
    forced = tokenizer.encode(p["forced"])
    trip.prompt = engine.fits(ids + forced, p["max_new_tokens"])
    trip.answer = p["forced"]
    trip.stages.tokens(trip.prompt, tokenize.median)
    table = engine.model.weights["model.embed_tokens.weight"]
    rows, embed = repeated(lambda: table[torch.tensor(trip.prompt)], REPEATS)
    trip.stages.embedding(len(trip.prompt), rows.shape[-1], embed.median)
    trip.measured |= {
        "prompt_tokens": len(trip.prompt),
        "message_tokens": len(tokenizer.encode(p["text"])),
        "forced_tokens": len(forced),
        "template_ms": template.median if template else 0.0,
        "tokenize_ms": tokenize.median,
        "tokenize_ms_spread": [tokenize.fastest, tokenize.slowest],
    }
    yield _frame(engine, trip, f"{len(trip.prompt):,} tokens, each now a row of {rows.shape[-1]:,} numbers.", 0.05)


def _loop(engine: Engine, trip: Trip, p: Mapping[str, Any], cache: ContiguousCache, logits: Tensor) -> Iterator[Frame]:
    """Pick a token, feed its id back, until one of them means the end."""
    out = TextStream(Detokenizer(engine.tokenizer), ())
    ms = trip.measured["prefill_ms"]
    for step in range(1, p["max_new_tokens"] + 1):
        choice = _pick(logits, p["pick_rank"] if step == p["pick_step"] else 1, ms)
        trip.choices.append(choice)
        name = engine.token_text(choice.token)
        trip.stages.turn(step, len(logits), [(engine.token_text(i), q) for i, q in choice.best], ms)
        trip.stages.pick(name, choice.token, choice.rank)
        ended = choice.token in engine.tokenizer.eos_ids
        if ended or step == p["max_new_tokens"]:
            trip.answer += (out.feed(choice.token) if not ended else "") + out.flush()
            reason = "end token" if ended else "max tokens"
            why = f"{name} was picked; it is not shown" if ended else "as many tokens as allowed"
            trip.stages.stop(why, step, sum(turn.ms for turn in trip.choices))
            yield _last(engine, trip, reason, cache)
            return
        trip.answer += out.feed(choice.token)
        trip.stages.loop(choice.token)
        caption = f"Token {step}: {name!r} with {choice.p:.2f}; its id goes back to the embedding."
        yield _frame(engine, trip, caption, 0.1 + 0.9 * step / p["max_new_tokens"])
        logits, ms = timed(lambda: last_logits(engine.model, [choice.token], cache))  # noqa: B023


def _pass(engine: Engine, ids: list[int], cache: ContiguousCache) -> tuple[Tensor, list[float]]:
    """Logits after the last of `ids`, and the length of its vector before the first layer and after each one."""
    lengths: list[float] = []

    def watch(x: Tensor) -> Tensor:
        lengths.append(float(x[0, -1].norm()))
        return x

    model = hooked(engine.model, "hook_embed", watch)
    for layer in range(model.config.n_layers):
        model = hooked(model, tap(layer, "hook_resid_post"), watch)
    return last_logits(model, ids, cache), lengths


def _pick(logits: Tensor, rank: int, ms: float) -> Choice:
    rank = min(rank, len(logits))
    best = logits.softmax(-1).topk(min(max(TOP, rank), len(logits)))
    top = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Choice(*top[rank - 1], rank, top[:TOP], ms)


def _frame(engine: Engine, trip: Trip, caption: str, progress: float | None) -> Frame:
    views: list[View] = [trip.stages.view()]
    if trip.choices:
        last = trip.choices[-1]
        notes = [f"{choice.p:.3f}, number {choice.rank} in the ranking" for choice in trip.choices]
        written = engine.tokens([choice.token for choice in trip.choices], notes)
        views.append(Tokens("the answer, token by token", written, tuple(c.p for c in trip.choices), "probability"))
        labels, values = tuple(engine.token_text(i) for i, _ in last.best), tuple(p for _, p in last.best)
        marked = last.rank - 1 if last.rank <= TOP else None
        views.append(Bars(f"the likeliest at token {len(trip.choices)}", labels, values, marked=marked))
    if trip.prompt:
        end = trip.prompt[-SHOWN_PROMPT:]
        title = "what the model read" if len(end) == len(trip.prompt) else f"the last {SHOWN_PROMPT} tokens it read"
        views.append(Tokens(title, engine.tokens(end)))
    return Frame(caption, tuple(views), dict(trip.measured), progress)


def _last(engine: Engine, trip: Trip, reason: str, cache: ContiguousCache) -> Frame:
    passes = [choice.ms for choice in trip.choices[1:]]
    if not passes:  # it ended at once; what one more token would have cost
        passes = [timed(lambda: last_logits(engine.model, [trip.choices[0].token], cache))[1]]
    decode = Timing.of(passes)
    shown = len(trip.choices) - (reason == "end token")
    model_ms = sum(choice.ms for choice in trip.choices)
    around_ms = trip.measured["template_ms"] + trip.measured["tokenize_ms"]
    trip.measured |= {
        "output_tokens": len(trip.choices),
        "tokens_nobody_sees": len(trip.choices) - shown,
        "decode_ms_per_token": decode.median,
        "decode_ms_spread": [decode.fastest, decode.slowest],
        "model_share_of_time": model_ms / (model_ms + around_ms),
        "stop_reason": reason,
        "answer": trip.answer,
    }
    caption = (
        f"{len(trip.choices)} passes for {shown} tokens you see: {trip.measured['prefill_ms']:.0f} ms to read, then "
        f"{decode.median:.0f} ms a token; stopped by: {reason}."
    )
    return _frame(engine, trip, caption, None)
