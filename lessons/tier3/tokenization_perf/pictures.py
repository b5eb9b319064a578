"""What the lesson draws: times to scale, counts of work, and what lists of other lengths would read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import fsum

from llm_holes.engine.frames import Bars, Curve, Series, Stretch, Table, Timeline, TimelineRow, series
from llm_holes.engine.measure import Timing
from llm_holes.engine.numbers import count, plural, size
from llm_holes.lessons.tier3.tokenization_perf.answers import Cut
from llm_holes.lessons.tier3.tokenization_perf.lists import Reading, least
from llm_holes.lessons.tier3.tokenization_perf.race import Race
from llm_holes.lessons.tier3.tokenization_perf.threads import Shared
from llm_holes.lessons.tier3.tokenization_perf.trap import AS_IT_IS, HALF, HEAP, OBVIOUS, SIZES, TEXT, Trap

GIB = 2**30


def an_answer(cuts: Sequence[Cut]) -> Timeline:
    """Cutting, reading and writing of one prompt and answer, for each way of cutting it."""
    return Timeline(
        "the same prompt and answer, cut in two ways", tuple(_answer_row(cut) for cut in cuts if cut.reading)
    )


def _answer_row(cut: Cut) -> TimelineRow:
    pieces = plural(len(cut.prompt), "piece")
    stretches = (
        Stretch("cut", cut.cut_ms, "cutting"),
        Stretch(f"read {pieces}", min(cut.reading), "reading, one pass"),
        Stretch(f"write {plural(len(cut.answer), 'piece')}", fsum(cut.writing), "writing, a pass for each"),
    )
    return TimelineRow(cut.name, stretches, plural(cut.pieces, "piece"))


def time_by_size(race: Race) -> Curve:
    return Curve(
        "time by size of the text, fastest to slowest",
        tuple(_spread(name, times) for name, times in race.warm.items()),
        x_label="bytes",
        y_label="ms",
        log_y=True,
    )


def _spread(name: str, times: Mapping[int, Timing]) -> Series:
    low, high = tuple(t.fastest for t in times.values()), tuple(t.slowest for t in times.values())
    return Series(name, tuple(map(float, times)), tuple(t.median for t in times.values()), low, high)


def the_first_call(race: Race) -> Table:
    rows = tuple(
        (name, *race.cold[name], next(iter(times.values()), Timing(0, 0, 0)).fastest)
        for name, times in race.warm.items()
    )
    return Table("1 kilobyte, ms", ("", "making it", "first call", "later calls"), rows)


def one_long_word(trap: Trap) -> Curve:
    spaces = f", a space every {count(trap.every)}" if trap.every else ""
    names = {OBVIOUS: f"the trap{spaces}", AS_IT_IS: AS_IT_IS, HEAP: f"the trap, {HEAP}"}
    return Curve(
        "how often the list is asked, by bytes of text",
        tuple(series(names[way], list(asked), list(asked.values())) for way, asked in trap.asked.items()),
        "",
        "questions",
        x_range=(0.0, float(SIZES[-1])),
        y_range=(0.0, 1000.0),
    )


def in_the_trap(times: Mapping[tuple[str, str], Timing], every: int) -> Timeline:
    """Each program on the text as it is and in the trap, to one scale."""
    rows = [
        TimelineRow(name if kind == TEXT else " … in the trap", (Stretch(kind, timing.fastest, kind),))
        for (name, kind), timing in times.items()
        if kind != HALF
    ]
    spaces = f", in the trap a space after every {count(every)}" if every else ""
    return Timeline(f"{size(SIZES[-1])} each{spaces}", tuple(rows))


def how_long_a_list(found: Sequence[Reading]) -> Bars:
    """What is read for the whole text, by the length of the list; the least is marked."""
    return Bars(
        "to write this text, the model would read",
        tuple(f"{plural(r.merges, 'merge')}: {plural(r.tokens, 'token')}" for r in found),
        tuple(r.nbytes / GIB for r in found),
        "GiB",
        marked=found.index(least(list(found))),
    )


def the_bill(found: Sequence[Reading]) -> Table:
    rows = tuple((count(r.merges), r.tokens, r.rows, r.layers / GIB, r.table / GIB, r.nbytes / GIB) for r in found)
    columns = ("merges", "tokens", "rows in the table", "GiB of layers", "GiB of table", "GiB in all")
    return Table("what each list would read", columns, rows, found.index(least(list(found))))


def shared_among(one: Shared, many: Shared) -> Timeline:
    """The fastest round with one thread, and with several."""
    rows = [_thread("one thread", one, 0)]
    rows += [_thread(f"thread {n + 1} of {many.threads}", many, n) for n in range(many.threads)]
    return Timeline(f"{len(one.texts)} texts, one after the other and shared out", tuple(rows))


def _thread(name: str, shared: Shared, thread: int) -> TimelineRow:
    ends = [0.0, *(text.end for text in shared.texts if text.thread == thread)]
    kind = "alone" if shared.threads == 1 else "shared out"
    return TimelineRow(name, tuple(Stretch(f"text {n}", b - a, kind) for n, (a, b) in enumerate(pairwise(ends), 1)))
