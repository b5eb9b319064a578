"""Times of three tokenizers on one text, of endless words, of threads, and of a whole answer."""

from __future__ import annotations

import os
import random
import string
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import Timing, repeated, timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import steps
from llm_holes.engine.tokenizer.tiktoken_bridge import Twin
from llm_holes.engine.tokenizer.tokenizer import Tokenizer

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


def tokenizers_afresh(engine: Engine, text: str) -> tuple[TokenizerTrace, BPE]:
    """Each made afresh, so that the first call finds nothing prepared."""
    trace, folder = TokenizerTrace(), engine.files.folder
    library, library_ms = timed(Tokenizer.load, folder)
    bpe, bpe_ms = timed(BPE.load, folder)
    twin, twin_ms = timed(Twin, bpe)
    trace.encoders = {"tiktoken": twin.encode, "HF tokenizers": library.encode, "our Python": bpe.encode}
    sample = of_size(text, 1000)
    for (name, encode), made in zip(trace.encoders.items(), (twin_ms, library_ms, bpe_ms), strict=True):
        ids, first = timed(encode, sample)
        if not ids:
            raise InputError("nothing in this text has a token", "Type a letter.")
        trace.cold[name] = (made, first)
        trace.warm[name] = {}
    return trace, bpe


def of_size(text: str, size: int) -> str:
    """The text over and over, cut to about this many bytes of whole characters."""
    data = text.encode()
    return (data * (1 + size // len(data)))[:size].decode("utf-8", "ignore")


def time_size(engine: Engine, trace: TokenizerTrace, text: str) -> None:
    found = []
    for name, encode in trace.encoders.items():
        if engine.model.is_cancelled():
            raise Cancelled
        ids, trace.warm[name][len(text.encode())] = repeated(REPEATS, encode, text)
        found.append(ids)
    trace.equal &= found[0] == found[1] == found[2]
    trace.tokens = len(found[1])


def long_words(engine: Engine, bpe: BPE) -> dict[str, dict[int, Timing]]:
    """One word of random letters, by its length: merging with and without looking at every pair each time."""
    rng = random.Random(0)
    letters = "".join(rng.choices(string.ascii_lowercase, k=WORD_LENGTHS[-1])).encode()
    times: dict[str, dict[int, Timing]] = {"looking at all pairs": {}, "with a heap": {}}
    for length in WORD_LENGTHS:
        if engine.model.is_cancelled():
            raise Cancelled
        word = letters[:length]
        _, times["looking at all pairs"][length] = repeated(2, merged, bpe, word)
        _, times["with a heap"][length] = repeated(REPEATS, bpe.encode_word, word)
    return times


def merged(bpe: BPE, word: bytes) -> int:
    """Does every merge of the word, one after the other; how many there are."""
    return sum(1 for _ in steps(bpe, word))


def thread_speedup(encode: Encode, text: str) -> tuple[int, float]:
    """How many threads there can be, and how much sooner they are done with several texts than one is."""
    workers = max(2, os.cpu_count() or 2)
    fastest = []
    for count in (1, workers):
        with ThreadPoolExecutor(count) as pool:
            fastest.append(repeated(REPEATS, all_encoded, pool, encode, [text] * TEXTS)[1].fastest)
    return workers, fastest[0] / fastest[1]


def all_encoded(pool: ThreadPoolExecutor, encode: Encode, texts: Sequence[str]) -> list[list[int]]:
    return list(pool.map(encode, texts))


def timed_answer(engine: Engine, text: str) -> tuple[float, float, float]:
    """Milliseconds of tokenizing the beginning of the text, of reading it, and of writing a few tokens."""
    beginning = engine.tokenizer.decode(engine.tokenizer.encode(of_size(text, 1000))[:PROMPT_TOKENS])
    ids, tokenize = repeated(REPEATS, engine.tokenizer.encode, beginning)
    cache = ContiguousCache(engine.model.config, len(ids) + ANSWER_TOKENS)
    logits, read = timed(last_logits, engine.model, engine.fits(ids, ANSWER_TOKENS), cache)
    write = 0.0
    for _ in range(ANSWER_TOKENS):
        token = int(logits.argmax())
        logits, ms = timed(last_logits, engine.model, [token], cache)
        write += ms
    return tokenize.median, read, write
