"""Many texts shared out among threads, and whether that is faster beyond doubt."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from llm_holes.engine.cores import allowed
from llm_holes.engine.engine import Engine
from llm_holes.engine.measure import Timing
from llm_holes.engine.work import Work
from llm_holes.lessons.shared.in_turn import clearly_slower
from llm_holes.lessons.tier3.tokenization_perf.race import REPEATS, Encode, of_size

TEXTS = 12
MOST_THREADS = 6
WORTH = 1.1
TRIAL_BYTES = 400_000
SECONDS = 0.215
"""What one thread is given to do: a shorter piece of work says more of the clock than of the threads."""


@dataclass(frozen=True, slots=True)
class Text:
    """Which thread cut a text, and from when to when, in ms."""

    thread: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Shared:
    """The fastest round with so many threads, and all rounds."""

    threads: int
    texts: tuple[Text, ...]
    timing: Timing


def shared_out(engine: Engine, encode: Encode, text: str) -> tuple[Shared, Shared]:
    """The same texts cut by one thread and by several, in turn. Raises Cancelled."""
    threads = min(max(round(allowed()), 2), MOST_THREADS)
    trial = [of_size(text, TRIAL_BYTES)]
    size = TRIAL_BYTES * 1e3 * SECONDS / TEXTS / min(one_round(encode, trial, 1)[0].end for _ in range(REPEATS))
    texts = [of_size(text, round(size))] * TEXTS
    rounds: dict[int, list[tuple[float, tuple[Text, ...]]]] = {1: [], threads: []}
    for number in range(1, REPEATS + 1):
        for count, found in rounds.items():
            engine.model.reached(Work("round", number, REPEATS))
            cut = one_round(encode, texts, count)
            found.append((max(text.end for text in cut), cut))
    one, many = (
        Shared(count, min(found)[1], Timing.of([ms for ms, _ in found])) for count, found in rounds.items()
    )  # fmt: skip
    return one, many


def one_round(encode: Encode, texts: Sequence[str], threads: int) -> tuple[Text, ...]:
    """Each thread takes one text of as many as there are threads."""
    began = time.perf_counter()

    def work(thread: int) -> list[Text]:
        done = []
        for text in texts[thread::threads]:
            start = time.perf_counter()
            encode(text)
            done.append(Text(thread, (start - began) * 1e3, (time.perf_counter() - began) * 1e3))
        return done

    with ThreadPoolExecutor(threads) as pool:
        return tuple(text for done in pool.map(work, range(threads)) for text in done)


def helped(one: Shared, many: Shared) -> bool:
    """Whether several threads were faster by more than the clock's spread, and by enough to speak of."""
    return clearly_slower(one.timing, many.timing) and one.timing.fastest > WORTH * many.timing.fastest
