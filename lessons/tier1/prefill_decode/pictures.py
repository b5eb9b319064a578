"""Pictures of the times: lines of work to scale, curves with what is spread, shares of the machine's limits."""

from __future__ import annotations

from collections.abc import Mapping

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Series, Stretch, Table, Timeline, TimelineRow, series
from llm_holes.engine.measure import Timing
from llm_holes.engine.numbers import duration, figure, plural
from llm_holes.lessons.shared.counts import cache_bytes, flops, weight_bytes
from llm_holes.lessons.tier1.prefill_decode.limits import Rates, knee, least_ms, rates
from llm_holes.lessons.tier1.prefill_decode.timings import FIRST_CONTEXT, Answer, Times


def time_line(engine: Engine, answers: list[Answer]) -> Timeline:
    """Each answer on one scale: the prompt in one pass, then a pass for each token."""
    return Timeline(
        "one pass reads the prompt, then one pass for each token",
        tuple(_answer_row(engine, answer) for answer in answers if answer.reading),
    )


def _answer_row(engine: Engine, answer: Answer) -> TimelineRow:
    size = plural(len(answer.prompt), "token")
    # the first token comes out of the pass that reads the prompt; each other one, of a pass of its own
    names = [engine.token_text(token) for token in answer.written[1:]]
    tokens = (Stretch(name, ms, "decode") for name, ms in zip(names, answer.writing, strict=True))
    return TimelineRow(size, (Stretch(f"prefill {size}", answer.read.fastest, "prefill"), *tokens))


def texts_at_once(batches: Mapping[int, Timing]) -> Timeline:
    """One token for each of several texts: in passes one after the other, and in one pass for all."""
    single = batches[1].fastest
    rows = [TimelineRow("1 text", (Stretch("1 text", single, "alone"),), _pace(1, single))]
    for texts, timing in batches.items():
        if texts > 1:
            alone = tuple(Stretch(f"text {n + 1}", single, "alone") for n in range(texts))
            rows.append(TimelineRow(f"{texts}, one by one", alone, _pace(1, single)))
            shared = (Stretch(f"all {texts}", timing.fastest, "shared"),)
            rows.append(TimelineRow(f"{texts} at once", shared, _pace(texts, timing.fastest)))
    return Timeline("one token for each text", tuple(rows))


def _pace(tokens: int, ms: float) -> str:
    return f"{figure(round(1e3 * tokens / ms))} tokens/s"


def time_per_pass(engine: Engine, passes: Mapping[int, Timing], best: Rates) -> Curve:
    """The time over the tokens in a pass, and the least that the machine's two limits allow, with its bend."""
    measured = _spread("measured, fastest to median", passes)
    bend, last = knee(engine, best), max(measured.x)
    xs = sorted({1.0, min(bend, last), last})
    lines = [measured, series("least that both limits allow", xs, [least_ms(engine, x, best) for x in xs])]
    if bend < last:
        foretold = f"bend foretold: {plural(round(bend), 'token')}"
        lines.append(series(foretold, (bend, bend), (0.0, max(measured.y))))
    return Curve("how long a pass takes", tuple(lines), "tokens in the pass", "ms")


def near_the_limits(engine: Engine, passes: Mapping[int, Timing], best: Rates) -> Curve:
    """Of what the machine can read and of the sums it can do, the shares that passes over more and more tokens use."""
    used = [rates(engine, tokens, timing).share_of(best) for tokens, timing in passes.items()]
    return Curve(
        "how much a pass uses of what this machine can do",
        (
            series("reading", list(passes), [share.gb_per_s for share in used]),
            series("sums", list(passes), [share.gflop_per_s for share in used]),
        ),
        "tokens in the pass",
        "of best",
        y_range=(0.0, 1.0),
    )


def longer_contexts(engine: Engine, steps: Mapping[int, Timing]) -> Curve:
    """How many times as much is read and summed, counted, and how many times as long it takes, with more and more in
    the cache."""
    first, lengths = steps[min(steps)].fastest, list(steps)
    relative = {n: Timing(t.median / first, t.fastest / first, t.slowest / first) for n, t in steps.items()}
    return Curve(
        "one token behind more and more",
        (
            _spread("time, fastest to median", relative),
            series("bytes read, counted", lengths, [read_growth(engine, n) for n in lengths]),
            series("sums, counted", lengths, [sums_growth(engine, n) for n in lengths]),
        ),
        "tokens in the cache",
        f"times as much as behind {FIRST_CONTEXT}",
    )


def read_growth(engine: Engine, tokens: int) -> float:
    """How many times as many bytes are read for a token behind `tokens` as behind few."""
    weights = weight_bytes(engine)
    return (weights + cache_bytes(engine, tokens)) / (weights + cache_bytes(engine, min(tokens, FIRST_CONTEXT)))


def sums_growth(engine: Engine, tokens: int) -> float:
    """How many times as many sums are done for it."""
    return flops(engine, 1, tokens) / flops(engine, 1, min(tokens, FIRST_CONTEXT))


def _spread(name: str, found: Mapping[int, Timing]) -> Series:
    """A line through the fastest times. What else the machine did made others slower: the spread reaches up to the
    median."""
    fastest = tuple(t.fastest for t in found.values())
    return Series(name, tuple(map(float, found)), fastest, fastest, tuple(t.median for t in found.values()))


def every_time(times: Times) -> Table:
    rows = [
        *((f"{plural(n, 'token')} in one pass", *_figures(t)) for n, t in times.passes.items()),
        *((f"{plural(n, 'text')}, a token each", *_figures(t)) for n, t in times.batches.items()),
        *((f"1 token behind {n:,}", *_figures(t)) for n, t in times.steps.items()),
    ]
    return Table("one pass", ("", "fastest", "median", "slowest"), tuple(rows))


def _figures(t: Timing) -> tuple[str, str, str]:
    return duration(t.fastest), duration(t.median), duration(t.slowest)
