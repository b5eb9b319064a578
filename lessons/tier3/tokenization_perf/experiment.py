"""One text cut by three programs, in a trap, with shorter lists of merges and by several threads, beside what the model
does with the pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.engine.numbers import count, duration, figure, plural, size
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.lessons.shared.counts import flops, weight_bytes
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier3.tokenization_perf import pictures
from llm_holes.lessons.tier3.tokenization_perf.answers import Cut, answered
from llm_holes.lessons.tier3.tokenization_perf.lists import least, readings
from llm_holes.lessons.tier3.tokenization_perf.race import (
    LIBRARY,
    PYTHON,
    TIKTOKEN,
    Race,
    of_size,
    time_size,
    tokenizers_afresh,
)
from llm_holes.lessons.tier3.tokenization_perf.threads import helped, shared_out
from llm_holes.lessons.tier3.tokenization_perf.trap import (
    AS_IT_IS,
    HEAP,
    OBVIOUS,
    SIZES,
    TRAP,
    Trap,
    set_trap,
    slower,
    time_trap,
)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    text = p["text"] or passage()
    report = Report()
    race, bpe = tokenizers_afresh(engine, text)
    yield from _answer(engine, report, bpe, text)
    yield from _race(engine, report, race, text, p["kilobytes"])
    yield from _trap(engine, report, bpe, race, Trap(p["spaced"], text))
    yield from _lists(engine, report, bpe, text, p["depth"])
    one, many = shared_out(engine, race.encoders[TIKTOKEN], text)
    report.measure(
        threads=many.threads,
        threads_speedup=one.timing.fastest / many.timing.fastest,
        threads_help=helped(one, many),
        one_thread_ms=one.timing.fastest,
    )
    report.show_also(threads=pictures.shared_among(one, many), the_first_call=pictures.the_first_call(race))
    yield report.frame()


def _answer(engine: Engine, report: Report, bpe: BPE, text: str) -> Iterator[Frame]:
    for n, (tokens, single) in enumerate(answered(engine, bpe, text)):
        report.show(an_answer=pictures.an_answer((tokens, single)))
        report.say(f"{plural(len(tokens.prompt), 'token')} or {plural(len(single.prompt), 'byte')} to read.")
        yield report.frame(0.03 * n)
    report.measure(_of_the_answer(tokens, single))
    nbytes, sums = weight_bytes(engine), flops(engine, 1, len(tokens.prompt))
    report.cost = cost(engine, "one token", min(tokens.writing), nbytes, sums, view="how long a list")


def _of_the_answer(tokens: Cut, single: Cut) -> dict[str, Any]:
    return {
        "tokenize_ms": tokens.cut_ms,
        "answer_ms": tokens.model_ms,
        "share_of_answer_time": tokens.cut_ms / (tokens.cut_ms + tokens.model_ms),
        "ms_per_token": min(tokens.writing),
        "pieces_as_tokens": tokens.pieces,
        "pieces_as_bytes": single.pieces,
        "pieces_ratio": single.pieces / tokens.pieces,
        "byte_answer_ms": single.model_ms,
        "byte_answer_vs_one": single.model_ms / tokens.model_ms,
    }


def _race(engine: Engine, report: Report, race: Race, text: str, kilobytes: int) -> Iterator[Frame]:
    before = report.views
    for nbytes in [*(1000 * n for n in (1, 4, 16, 64, 256) if n < kilobytes), 1000 * kilobytes]:
        time_size(engine, race, of_size(text, nbytes))
        report.show(*before, time_by_size=pictures.time_by_size(race))
        speeds = ", ".join(f"{name} {figure(race.mb_per_s(name))}" for name in race.encoders)
        report.say(f"{count(nbytes / 1000)} kilobytes; megabytes per second: {speeds}.")
        yield report.frame(0.5)
    report.measure(
        tiktoken_mb_per_s=race.mb_per_s(TIKTOKEN),
        hf_tokenizers_mb_per_s=race.mb_per_s(LIBRARY),
        python_mb_per_s=race.mb_per_s(PYTHON),
        tiktoken_vs_python=race.mb_per_s(TIKTOKEN) / race.mb_per_s(PYTHON),
        hf_us_per_token=1e3 * list(race.warm[LIBRARY].values())[-1].fastest / race.tokens,
        tiktoken_first_call_ms=race.cold[TIKTOKEN][1],
        hf_tokenizers_first_call_ms=race.cold[LIBRARY][1],
        python_first_call_ms=race.cold[PYTHON][1],
        ids_equal=race.equal,
    )


def _trap(engine: Engine, report: Report, bpe: BPE, race: Race, trap: Trap) -> Iterator[Frame]:
    before, last = report.views, SIZES[-1]
    for _ in set_trap(engine, bpe, trap):
        report.show(*before, one_long_word=pictures.one_long_word(trap))
        report.say(f"Questions to the list of merges, counted in up to {size(last)} of text.")
        yield report.frame(0.6)
    asked = {way: sizes[last] for way, sizes in trap.asked.items()}
    times, doubled = time_trap(engine, bpe, race.encoders, trap)
    report.measure(
        trap_bytes=last,
        longest_word=trap.longest_word(bpe),
        asked_as_it_is=asked[AS_IT_IS],
        asked_in_trap=asked[OBVIOUS],
        asked_with_heap=asked[HEAP],
        asked_ratio=asked[OBVIOUS] / max(asked[HEAP], 1),
        doubled_asked=trap.doubled,
        doubled_word_naive=doubled[OBVIOUS],
        doubled_word_heap=doubled[PYTHON],
        obvious_trap_ms=times[OBVIOUS, TRAP].fastest,
        obvious_trap_slowdown=slower(times, OBVIOUS),
        others_trap_slowdown=max(slower(times, name) for name in race.encoders),
    )
    report.show_also(in_the_trap=pictures.in_the_trap(times, trap.every))
    yield report.frame(0.7)


def _lists(engine: Engine, report: Report, bpe: BPE, text: str, depth: int) -> Iterator[Frame]:
    found = list(readings(engine, bpe, text, depth))
    best, whole = least(found), found[-1]
    report.measure(
        tokens_by_merges={str(reading.merges): reading.tokens for reading in found},
        bytes_read_by_merges={str(reading.merges): reading.nbytes for reading in found},
        merges=whole.merges,
        tokens=whole.tokens,
        best_merges=best.merges,
        best_tokens=best.tokens,
        best_list="all" if best is whole else "part" if best.merges else "none",
        best_list_share=best.merges / whole.merges,
        bytes_read=whole.nbytes,
        bytes_read_at_best=best.nbytes,
    )
    report.show_also(how_long_a_list=pictures.how_long_a_list(found), the_bill=pictures.the_bill(found))
    report.say(f"{plural(whole.tokens, 'token')}, a pass of {duration(report.measured['ms_per_token'])} for each.")
    yield report.frame(0.8)
