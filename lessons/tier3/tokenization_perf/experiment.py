"""The same text through three tokenizers with one vocabulary: speed, first call, long words, share of an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Curve, Frame, Series, Table, series
from llm_holes.engine.measure import Timing
from llm_holes.engine.numbers import figure, percent
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier3.tokenization_perf.timings import (
    WORD_LENGTHS,
    TokenizerTrace,
    long_words,
    of_size,
    thread_speedup,
    time_size,
    timed_answer,
    tokenizers_afresh,
)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    text = p["text"] or passage()
    report = Report()
    trace, bpe = tokenizers_afresh(engine, text)
    for size in _sizes(p["kilobytes"]):
        time_size(engine, trace, of_size(text, size))
        report.say(_caption(trace))
        report.show(time_by_size=_curve(trace), the_first_call=_cold(trace))
        yield report.frame(0.4)

    lengths = long_words(engine, bpe)
    report.show_also(one_long_word=_words(lengths))
    yield report.frame(0.6)

    workers, speedup = thread_speedup(trace.encoders["tiktoken"], of_size(text, p["kilobytes"] * 1000))
    tokenize, read, write = timed_answer(engine, text)
    share = tokenize / (tokenize + read + write)
    own, heap = lengths["looking at all pairs"], lengths["with a heap"]
    report.measure(
        tiktoken_mb_per_s=trace.mb_per_s("tiktoken"),
        hf_tokenizers_mb_per_s=trace.mb_per_s("HF tokenizers"),
        python_mb_per_s=trace.mb_per_s("our Python"),
        tiktoken_vs_python=trace.mb_per_s("tiktoken") / trace.mb_per_s("our Python"),
        hf_us_per_token=1e3 * list(trace.warm["HF tokenizers"].values())[-1].median / trace.tokens,
        tiktoken_first_call_ms=trace.cold["tiktoken"][1],
        hf_tokenizers_first_call_ms=trace.cold["HF tokenizers"][1],
        python_first_call_ms=trace.cold["our Python"][1],
        ids_equal=trace.equal,
        threads=workers,
        threads_speedup=speedup,
        doubled_word_naive=own[WORD_LENGTHS[-1]].fastest / own[WORD_LENGTHS[-2]].fastest,
        doubled_word_heap=heap[WORD_LENGTHS[-1]].fastest / heap[WORD_LENGTHS[-2]].fastest,
        tokenize_ms=tokenize,
        answer_ms=read + write,
        share_of_answer_time=share,
    )
    parts = Bars("an answer, ms", ("tokenizing", "reading", "writing"), (tokenize, read, write), "ms")
    report.show_also(an_answer=parts)
    report.say(f"Of an answer's time, {percent(share)} is tokenizing.")
    yield report.frame()


def _sizes(kilobytes: int) -> list[int]:
    return [1000 * n for n in (1, 4, 16, 64, 256) if n < kilobytes] + [1000 * kilobytes]


def _caption(trace: TokenizerTrace) -> str:
    speeds = ", ".join(f"{name} {figure(trace.mb_per_s(name))}" for name in trace.encoders)
    size = list(trace.warm["tiktoken"])[-1]
    same = "the same ids" if trace.equal else "NOT always the same ids"
    return f"{figure(size / 1000)} kB, {same}; MB/s: {speeds}."


def _curve(trace: TokenizerTrace) -> Curve:
    return Curve(
        "time by size of the text, on a log scale",
        tuple(_line(name, times) for name, times in trace.warm.items()),
        x_label="bytes",
        y_label="ms",
        log_y=True,
    )


def _line(name: str, times: Mapping[int, Timing]) -> Series:
    found: Sequence[Timing] = list(times.values())
    low, high = tuple(t.fastest for t in found), tuple(t.slowest for t in found)
    return Series(name, tuple(map(float, times)), tuple(t.median for t in found), low, high)


def _cold(trace: TokenizerTrace) -> Table:
    rows = tuple(
        (name, *trace.cold[name], next(iter(t.values()), Timing(0, 0, 0)).median) for name, t in trace.warm.items()
    )
    return Table("1 kB, ms", ("", "making it", "first call", "later calls"), rows)


def _words(lengths: Mapping[str, Mapping[int, Timing]]) -> Curve:
    lines = tuple(series(name, list(t), [x.fastest for x in t.values()]) for name, t in lengths.items())
    return Curve("one word without end, in our Python", lines, "letters", "ms")
