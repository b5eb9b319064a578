"""The same text through three tokenizers with one vocabulary: speed, first call, long words, share of an answer."""

from __future__ import annotations

import os
import random
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Bars, Curve, Frame, Series, Table, series
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import Timing, repeated, timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.numbers import figure, percent
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import steps
from llm_holes.engine.tokenizer.tiktoken_bridge import Twin
from llm_holes.engine.tokenizer.tokenizer import Tokenizer
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.shared.report import Report

Encode = Callable[[str], list[int]]
REPEATS = 3
ANSWER_TOKENS = 8
PROMPT_TOKENS = 96
WORD_LENGTHS = (200, 400, 800, 1600)
TEXTS = 8


@dataclass
class TokenizerTrace:
    """So far: the tokenizers by name, what making and first using each took (ms), the times of every size (bytes)."""

    encoders: dict[str, Encode] = field(default_factory=dict)
    cold: dict[str, tuple[float, float]] = field(default_factory=dict)
    warm: dict[str, dict[int, Timing]] = field(default_factory=dict)
    equal: bool = True
    tokens: int = 0

    def mb_per_s(self, name: str) -> float:
        size, timing = list(self.warm[name].items())[-1]
        return size / timing.median / 1e3


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    text = p["text"] or passage()
    report = Report()
    trace, bpe = _contenders(engine, text)
    for size in _sizes(p["kilobytes"]):
        _run_size(engine, trace, _of_size(text, size))
        report.say(_caption(trace))
        report.show(_curve(trace), _cold(trace))
        yield report.frame(0.4)

    lengths = _long_words(engine, bpe)
    report.show(*report.views, _words(lengths))
    yield report.frame(0.6)

    workers, speedup = _threads(trace.encoders["tiktoken"], _of_size(text, p["kilobytes"] * 1000))
    tokenize, read, write = _answer(engine, text)
    share = tokenize / (tokenize + read + write)
    own, heap = lengths["looking at all pairs"], lengths["with a heap"]
    report.measure(
        tiktoken_mb_per_s=trace.mb_per_s("tiktoken"),
        hf_tokenizers_mb_per_s=trace.mb_per_s("HF tokenizers"),
        python_mb_per_s=trace.mb_per_s("our Python"),
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
    report.show(parts, *report.views)
    report.say_also(f"Of an answer's time, {percent(share)} is tokenizing.")
    yield report.frame()


def _contenders(engine: Engine, text: str) -> tuple[TokenizerTrace, BPE]:
    """Each made afresh, so that the first call finds nothing prepared."""
    trace, folder = TokenizerTrace(), engine.files.folder
    library, library_ms = timed(Tokenizer.load, folder)
    bpe, bpe_ms = timed(BPE.load, folder)
    twin, twin_ms = timed(Twin, bpe)
    trace.encoders = {"tiktoken": twin.encode, "HF tokenizers": library.encode, "our Python": bpe.encode}
    sample = _of_size(text, 1000)
    for (name, encode), made in zip(trace.encoders.items(), (twin_ms, library_ms, bpe_ms), strict=True):
        ids, first = timed(encode, sample)
        if not ids:
            raise InputError("nothing in this text has a token", "Type a letter.")
        trace.cold[name] = (made, first)
        trace.warm[name] = {}
    return trace, bpe


def _sizes(kilobytes: int) -> list[int]:
    return [1000 * n for n in (1, 4, 16, 64, 256) if n < kilobytes] + [1000 * kilobytes]


def _of_size(text: str, size: int) -> str:
    """The text over and over, cut to about this many bytes of whole characters."""
    data = text.encode()
    return (data * (1 + size // len(data)))[:size].decode("utf-8", "ignore")


def _run_size(engine: Engine, trace: TokenizerTrace, text: str) -> None:
    found = []
    for name, encode in trace.encoders.items():
        if engine.model.is_cancelled():
            raise Cancelled
        ids, trace.warm[name][len(text.encode())] = repeated(REPEATS, encode, text)
        found.append(ids)
    trace.equal &= found[0] == found[1] == found[2]
    trace.tokens = len(found[1])


def _long_words(engine: Engine, bpe: BPE) -> dict[str, dict[int, Timing]]:
    """One word of random letters, by its length: merging with and without looking at every pair each time."""
    rng = random.Random(0)
    letters = "".join(rng.choices(string.ascii_lowercase, k=WORD_LENGTHS[-1])).encode()
    times: dict[str, dict[int, Timing]] = {"looking at all pairs": {}, "with a heap": {}}
    for length in WORD_LENGTHS:
        if engine.model.is_cancelled():
            raise Cancelled
        word = letters[:length]
        _, times["looking at all pairs"][length] = repeated(2, _merged, bpe, word)
        _, times["with a heap"][length] = repeated(REPEATS, bpe.encode_word, word)
    return times


def _merged(bpe: BPE, word: bytes) -> int:
    """Does every merge of the word, one after the other; how many there are."""
    return sum(1 for _ in steps(bpe, word))


def _threads(encode: Encode, text: str) -> tuple[int, float]:
    """How many threads there can be, and how much sooner they are done with several texts than one is."""
    workers = max(2, os.cpu_count() or 2)
    fastest = []
    for count in (1, workers):
        with ThreadPoolExecutor(count) as pool:
            fastest.append(repeated(REPEATS, _all_encoded, pool, encode, [text] * TEXTS)[1].fastest)
    return workers, fastest[0] / fastest[1]


def _all_encoded(pool: ThreadPoolExecutor, encode: Encode, texts: Sequence[str]) -> list[list[int]]:
    return list(pool.map(encode, texts))


def _answer(engine: Engine, text: str) -> tuple[float, float, float]:
    """Milliseconds of tokenizing the beginning of the text, of reading it, and of writing a few tokens."""
    beginning = engine.tokenizer.decode(engine.tokenizer.encode(_of_size(text, 1000))[:PROMPT_TOKENS])
    ids, tokenize = repeated(REPEATS, engine.tokenizer.encode, beginning)
    cache = ContiguousCache(engine.model.config, len(ids) + ANSWER_TOKENS)
    logits, read = timed(last_logits, engine.model, engine.fits(ids, ANSWER_TOKENS), cache)
    write = 0.0
    for _ in range(ANSWER_TOKENS):
        token = int(logits.argmax())
        logits, ms = timed(last_logits, engine.model, [token], cache)
        write += ms
    return tokenize.median, read, write


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
