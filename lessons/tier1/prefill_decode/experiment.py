"""Times passes over more and more tokens, then single tokens at longer contexts, against the machine's best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Curve, Frame, Series, Table, Tokens, View
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.machine import matmul_gflop_per_s, read_gb_per_s
from llm_holes.engine.measure import Timing, repeated
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.numbers import duration, figure, plural
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import keyed
from llm_holes.lessons.tier1.prefill_decode.timings import (
    FIRST_CONTEXT,
    SIXTEEN,
    Times,
    flops,
    repeats_for,
    timed_answer,
    timed_step_at,
    weight_bytes,
)

CACHE_BYTES = 2**30


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    config, model = engine.model.config, engine.model
    prompt = engine.chat(p["text"], p["max_new_tokens"] + 1)
    cache = ContiguousCache(config, len(prompt) + p["max_new_tokens"] + 1)
    yield Frame(
        f"Reading {plural(len(prompt), 'token')}.",
        (Tokens("the prompt", engine.tokens(prompt[:FIRST_CONTEXT]), key="prompt"),),
        {},
        0.0,
    )
    times = timed_answer(engine, prompt, cache, p["max_new_tokens"])
    caption = f"{duration(times.prompt.median)} until the first token, then {duration(times.token.median)} for each."
    views = keyed({"the_wait_and_the_pace": _pace(times, len(prompt)), "written": _written(engine, times)})
    yield Frame(caption, views, {"ttft_ms": times.prompt.median}, 0.15)

    limit = min(p["max_prompt"], config.n_ctx - 1)
    text = (prompt + passage_ids(engine, limit))[:limit]
    for count in _lengths(1, limit):
        ids = torch.tensor([text[:count]])
        _, times.passes[count] = repeated(repeats_for(count), model.forward, ids, logits_to_keep=1)
        yield Frame(_pass_caption(times), _views(engine, times, len(prompt)), {}, 0.3)

    room = min(p["max_context"], config.n_ctx - 1, CACHE_BYTES // config.kv_bytes_per_token())
    cache = ContiguousCache(config, min(room, FIRST_CONTEXT) + 1)
    last_logits(model, (text * FIRST_CONTEXT)[: min(room, FIRST_CONTEXT)], cache)
    for length in _lengths(FIRST_CONTEXT, room):
        times.steps[length] = timed_step_at(engine, cache, length)
        yield Frame(_pass_caption(times), _views(engine, times, len(prompt)), {}, 0.6)
    machine = read_gb_per_s(model.is_cancelled), matmul_gflop_per_s(model.is_cancelled)
    yield _last(engine, times, len(prompt), machine)


def _lengths(first: int, last: int) -> list[int]:
    """first, 4 × first, … and last."""
    found = [first * 4**n for n in range(12) if first * 4**n < last]
    return [*found, last]


def _last(engine: Engine, times: Times, prompt_tokens: int, machine: tuple[float, float]) -> Frame:
    (longest, prefill), (context, slow) = list(times.passes.items())[-1], list(times.steps.items())[-1]
    first = next(iter(times.steps.values()))
    weights, config = weight_bytes(engine), engine.model.config
    read = weights + prompt_tokens * config.kv_bytes_per_token()
    rates = {
        "achieved_gb_per_s": read / times.token.fastest / 1e6,
        "decode_gflop_per_s": flops(engine, 1, prompt_tokens) / times.token.fastest / 1e6,
        "prefill_gb_per_s": weights / prefill.fastest / 1e6,
        "prefill_gflop_per_s": flops(engine, longest, longest / 2) / prefill.fastest / 1e6,
        "machine_gb_per_s": machine[0],
        "machine_gflop_per_s": machine[1],
    }
    measured: dict[str, Any] = {
        "prompt_tokens": prompt_tokens,
        "ttft_ms": times.prompt.median,
        "ttft_ms_spread": [times.prompt.fastest, times.prompt.slowest],
        "decode_ms": times.token.median,
        "decode_ms_spread": [times.token.fastest, times.token.slowest],
        "longest_prompt": longest,
        "prefill_tok_per_s": 1e3 * longest / prefill.median,
        "decode_tok_per_s": 1e3 / times.token.median,
        "sixteen_vs_one": times.passes.get(SIXTEEN, prefill).fastest / times.passes[1].fastest,
        "longest_context": context,
        "decode_ms_long_context": slow.median,
        "decode_slowdown": slow.fastest / first.fastest,
        "weight_bytes_per_token": weights,
        "flops_per_token": flops(engine, 1, prompt_tokens),
        **rates,
    }
    caption = f"{duration(times.prompt.median)} until the first token, then {duration(times.token.median)} for each."
    return Frame(caption, _views(engine, times, prompt_tokens, _limits(longest, rates)), measured)


def _views(engine: Engine, times: Times, prompt_tokens: int, limits: Table | None = None) -> tuple[View, ...]:
    return keyed(
        {
            "the_wait_and_the_pace": _pace(times, prompt_tokens),
            "time_per_token": _per_token(times),
            "the_limits": limits,
            "longer_contexts": _contexts(times) if times.steps else None,
            "each_pass": Table("one pass, ms", ("tokens", "median", "fastest", "slowest"), _rows(times.passes)),
            "written": _written(engine, times),
        }
    )


def _pace(times: Times, prompt_tokens: int) -> Bars:
    """The pause before the first token beside the time each further one takes."""
    names = (f"reading {plural(prompt_tokens, 'token')} at once", "writing 1 token")
    return Bars("milliseconds for one pass", names, (times.prompt.median, times.token.median), "ms")


def _limits(longest: int, m: Mapping[str, float]) -> Table:
    rows = (
        ("this machine at best", m["machine_gb_per_s"], 1.0, m["machine_gflop_per_s"], 1.0),
        _row(f"reading {plural(longest, 'token')} at once", m["prefill_gb_per_s"], m["prefill_gflop_per_s"], m),
        _row("writing one token", m["achieved_gb_per_s"], m["decode_gflop_per_s"], m),
    )
    return Table("how near to the limits", ("", "GB/s read", "of best", "GFLOP/s", "of best"), rows)


def _row(name: str, gb: float, gflop: float, m: Mapping[str, float]) -> tuple[str, float, float, float, float]:
    return name, gb, gb / m["machine_gb_per_s"], gflop, gflop / m["machine_gflop_per_s"]


def _pass_caption(times: Times) -> str:
    count, timing = list(times.passes.items())[-1]
    one = times.passes[1].fastest
    ratio = figure(timing.fastest / one)
    return f"A pass over {plural(count, 'token')} takes {ratio}× as long as one over a single token."


def _per_token(times: Times) -> Bars:
    labels, each = zip(*((f"{n:,} at once", t.fastest / n) for n, t in times.passes.items()), strict=True)
    return Bars("milliseconds per token, by how many go through together", labels, each, "ms")


def _rows(found: Mapping[int, Timing]) -> tuple[tuple[int, float, float, float], ...]:
    return tuple((n, t.median, t.fastest, t.slowest) for n, t in found.items())


def _contexts(times: Times) -> Curve:
    found: Sequence[Timing] = list(times.steps.values())
    line = Series(
        "one token",
        tuple(map(float, times.steps)),
        tuple(t.median for t in found),
        tuple(t.fastest for t in found),
        tuple(t.slowest for t in found),
    )
    return Curve("writing one token, by the length of the context", (line,), "tokens in the cache", "ms")


def _written(engine: Engine, times: Times) -> Tokens:
    return Tokens("what it wrote meanwhile", engine.tokens(times.written))
