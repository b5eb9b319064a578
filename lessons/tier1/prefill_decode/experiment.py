"""Draws an answer as a time line, then times one token for many texts at once, passes over more and more tokens against
the machine's two limits, and single tokens behind longer and longer contexts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Tokens
from llm_holes.engine.measure import Timing
from llm_holes.engine.numbers import duration, plural
from llm_holes.lessons.shared.batches import filled, room_for, together
from llm_holes.lessons.shared.counts import cache_bytes, flops, weight_bytes
from llm_holes.lessons.shared.in_turn import clearly_slower, in_turn
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier1.prefill_decode.limits import Rates, knee, least_ms, limits, rates
from llm_holes.lessons.tier1.prefill_decode.pictures import (
    every_time,
    longer_contexts,
    near_the_limits,
    read_growth,
    sums_growth,
    texts_at_once,
    time_line,
    time_per_pass,
)
from llm_holes.lessons.tier1.prefill_decode.timings import (
    FEW,
    FIRST_CONTEXT,
    LONG,
    OFTEN,
    SELDOM,
    SIXTEEN,
    Times,
    a_pass,
    a_step,
    answering,
    doubled,
    read_again,
    repeats_for,
    two_prompts,
    up_to,
)

ABOVE = 1.1
"""How far a time is from the least possible, at least, to be clearly above it."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    report = Report()
    prompt = engine.chat(p["text"], p["max_new_tokens"] + 1)
    times = Times(two_prompts(engine, prompt, p["max_new_tokens"]))
    yield from _answers(engine, times, report, p["max_new_tokens"])
    yield from _batches(engine, times, report, p["batch"], room_for(engine, p["each_context"], p["batch"]))
    yield from _passes(engine, times, report, p["max_prompt"])
    yield from _contexts(engine, times, report, room_for(engine, p["max_context"]))
    answer = times.answers[0]
    report.show_also(
        every_time=every_time(times),
        written=Tokens("what it wrote meanwhile", engine.tokens(answer.written)),
    )
    token = Timing.of(answer.writing)
    report.cost = cost(
        engine,
        "one token",
        token.fastest,
        weight_bytes(engine) + cache_bytes(engine, len(prompt)),
        flops(engine, 1, len(prompt)),
    )
    report.say(f"{duration(answer.read.fastest)} until the first token, then {duration(token.fastest)} for each.")
    yield report.frame()


def _answers(engine: Engine, times: Times, report: Report, new_tokens: int) -> Iterator[Frame]:
    """The time line, growing by a pass at a time."""
    for answer in times.answers:
        for _ in answering(engine, answer, new_tokens):
            report.say(f"{plural(len(answer.prompt), 'token')} read, {plural(len(answer.written), 'token')} written.")
            report.show(the_time_line=time_line(engine, times.answers))
            yield report.frame(0.05)
    read_again(engine, times.answers)
    ours, other = times.answers
    read, token = ours.read, Timing.of(ours.writing)
    report.show(the_time_line=time_line(engine, times.answers))
    report.measure(
        prompt_tokens=len(ours.prompt),
        ttft_ms=read.median,
        ttft_ms_spread=[read.fastest, read.slowest],
        decode_ms=token.median,
        decode_ms_spread=[token.fastest, token.slowest],
        decode_tok_per_s=1e3 / token.median,
        other_prompt_tokens=len(other.prompt),
        other_ttft_ms=other.read.median,
        prefill_share_of_one_by_one=read.fastest / (len(ours.prompt) * token.fastest),
    )
    yield report.frame(0.3)


def _batches(engine: Engine, times: Times, report: Report, texts: int, context: int) -> Iterator[Frame]:
    """One token for one text and for many in a pass, each with `context` tokens behind it."""
    start = filled(engine, passage_ids(engine, SIXTEEN), context)
    sizes = sorted({1, max(texts // 4, 1), texts})
    for times.batches in in_turn({size: together(engine, start, size) for size in sizes}, repeats_for):
        report.say(f"One token for each of {plural(texts, 'text')}.")
        yield report.frame(0.4)
    single, many = times.batches[1], times.batches[texts]
    report.show_also(texts_at_once=texts_at_once(times.batches))
    report.measure(
        batch=texts,
        batch_context=context,
        batch_vs_one=many.fastest / single.fastest,
        batch_speedup=texts * single.fastest / many.fastest,
        batch_cache_bytes=texts * cache_bytes(engine, context),
        tok_per_s_by_batch={str(size): 1e3 * size / timing.fastest for size, timing in times.batches.items()},
    )
    yield report.frame(0.5)


def _passes(engine: Engine, times: Times, report: Report, longest: int) -> Iterator[Frame]:
    """Passes over more and more tokens, beside what the machine's limits allow."""
    longest = min(longest, engine.model.config.n_ctx - 1)
    text = passage_ids(engine, longest)
    shown, best = report.views, limits(engine)
    sizes = [size for size in FEW if size < longest] + up_to(min(SIXTEEN, longest), longest, 4)
    for times.passes in in_turn({size: a_pass(engine, text[:size]) for size in sizes}, repeats_for):
        report.show(*shown, time_per_pass=time_per_pass(engine, times.passes, best))
        report.say(f"Passes over 1 to {plural(longest, 'token')}.")
        yield report.frame(0.6)
    report.show_also(the_limits=near_the_limits(engine, times.passes, best))
    one, most = times.passes[1], times.passes[longest]
    report.measure(
        _against(engine, times.passes, best),
        longest_prompt=longest,
        longest_vs_one=most.fastest / one.fastest,
        prefill_tok_per_s=1e3 * longest / most.median,
        sixteen_vs_one=times.passes.get(SIXTEEN, most).fastest / one.fastest,
        doubled_tokens=round(doubled(times.passes)),
    )
    yield report.frame(0.8)


def _against(engine: Engine, passes: Mapping[int, Timing], best: Rates) -> dict[str, Any]:
    """A pass over one token and the longest one against what the machine can do."""
    longest = max(passes)
    one, most = rates(engine, 1, passes[1]), rates(engine, longest, passes[longest])
    of_one, of_most = one.share_of(best), most.share_of(best)
    return {
        "machine_gb_per_s": best.gb_per_s,
        "machine_gflop_per_s": best.gflop_per_s,
        "machine_flops_per_byte": best.flops_per_byte,
        "weight_bytes_per_token": weight_bytes(engine),
        "flops_per_token": flops(engine, 1, 0),
        "flops_per_byte": flops(engine, 1, 0) / weight_bytes(engine),
        "achieved_gb_per_s": one.gb_per_s,
        "decode_gflop_per_s": one.gflop_per_s,
        "prefill_gb_per_s": most.gb_per_s,
        "prefill_gflop_per_s": most.gflop_per_s,
        "decode_read_share": of_one.gb_per_s,
        "decode_sums_share": of_one.gflop_per_s,
        "prefill_read_share": of_most.gb_per_s,
        "prefill_sums_share": of_most.gflop_per_s,
        "knee_tokens": round(knee(engine, best)),
        "above_limits": all(t.fastest > ABOVE * least_ms(engine, n, best) for n, t in passes.items()),
    }


def _contexts(engine: Engine, times: Times, report: Report, longest: int) -> Iterator[Frame]:
    """One token behind more and more others."""
    cache = filled(engine, passage_ids(engine, SIXTEEN), longest)
    shown = report.views
    works = {length: a_step(engine, cache, length) for length in up_to(min(FIRST_CONTEXT, longest), longest, 10)}
    for times.steps in in_turn(works, lambda length: OFTEN if length < LONG else SELDOM):
        report.show(*shown, longer_contexts=longer_contexts(engine, times.steps))
        report.say(f"One token behind {FIRST_CONTEXT} to {longest:,} others.")
        yield report.frame(0.9)
    few, many = times.steps[min(times.steps)], times.steps[longest]
    report.measure(
        longest_context=longest,
        decode_ms_long_context=many.median,
        decode_slowdown=many.fastest / few.fastest,
        decode_clearly_slower=clearly_slower(many, few),
        longest_context_bytes=cache_bytes(engine, longest),
        read_growth=read_growth(engine, longest),
        sums_growth=sums_growth(engine, longest),
        cache_like_weights_tokens=weight_bytes(engine) // cache_bytes(engine, 1),
    )
