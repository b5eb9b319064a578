"""A server by the clock: how long until the first token and for each other one, and many requests at once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from llm_holes.engine.backends.backend import Answer, Ask, Backend, Capability, Ended, Piece, answer
from llm_holes.engine.frames import Curve, Frame, Mark, Stretch, Timeline, TimelineRow, series
from llm_holes.engine.numbers import duration, figure, plural
from llm_holes.lessons.shared.asking import counts, gaps, prompt_for
from llm_holes.lessons.shared.report import Report

NEEDS: frozenset[Capability] = frozenset()
VIEWS: Mapping[str, frozenset[Capability]] = {
    "the time line": frozenset(),
    "texts at once": frozenset(),
    "time per pass": frozenset({"usage"}),
}
BETS = frozenset[str]()
UNSEEN: Mapping[str, str] = {
    "the limits": "An API does not show what its machine reads and sums.",
    "longer contexts": "An API does not show what is read and summed behind a long text.",
}
CONNECTIONS = 32
FOUR, WORDS_LONG = 4, (1, 4, 16)
WORTH = 1.5
"""Twice as many requests have to bring at least so many times the tokens per second, or the knee is passed."""


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    report = Report()
    yield from _answers(backend, p, report)
    yield from _at_once(backend, p, report)
    if "usage" in backend.capabilities:
        yield from _prompts(backend, p, report)
    yield report.frame()


def _answers(backend: Backend, p: Mapping[str, Any], report: Report) -> Iterator[Frame]:
    """The message, the same one again, and four times of it."""
    rows: list[TimelineRow] = []
    found: list[Answer] = []
    for name, text in (("your message", p["text"]), ("once more", p["text"]), ("four of it", f"{p['text']}\n" * FOUR)):
        given = answer(backend, Ask(prompt_for(backend, text, True), p["max_new_tokens"] + 1))
        found.append(given)
        rows.append(_row(name, given))
        report.show(the_time_line=Timeline("until the first token, then each token", tuple(rows)))
        report.say(f"{plural(len(given.pieces), 'piece')} came, the first after {duration(_first(given))}.")
        yield report.frame(0.1 * len(rows))
    ours, _, other = found
    steps = gaps(ours) or gaps(other) or [0.0]
    report.measure(
        ttft_ms=_first(ours),
        decode_ms=median(steps),
        decode_ms_spread=[min(steps), max(steps)],
        decode_tok_per_s=1e3 / max(median(steps), 1e-3),
        other_ttft_ms=_first(other),
        **counts({"prompt_tokens": ours.ended.prompt_tokens, "other_prompt_tokens": other.ended.prompt_tokens}),
    )
    size, kept = ours.ended.prompt_tokens, ours.ended.cached_tokens
    if size and not kept and median(steps) > 0:
        report.measure(prefill_share_of_one_by_one=_first(ours) / (size * median(steps)))


def _first(given: Answer) -> float:
    return given.pieces[0].ms if given.pieces else given.ended.ms


def _row(name: str, given: Answer) -> TimelineRow:
    size, kept = given.ended.prompt_tokens, given.ended.cached_tokens
    title = plural(size, "token") if size is not None else name
    pieces = (Stretch(piece.text, ms, "decode") for piece, ms in zip(given.pieces[1:], gaps(given), strict=False))
    note = f"{kept:,} of them kept from before" if kept else ""
    return TimelineRow(f"{name}, {title}", (Stretch(f"first token, {title}", _first(given), "prefill"), *pieces), note)


@dataclass
class Load:
    """How several requests at once went: when each piece of each came, in milliseconds."""

    times: list[list[float]]
    new: dict[int, int] = field(default_factory=dict)
    """The tokens that the server counted, by request."""

    @property
    def tokens(self) -> int:
        return sum(self.new.get(n, len(times)) for n, times in enumerate(self.times))

    @property
    def in_all(self) -> float:
        """Tokens per second of all together."""
        last = max((ms for times in self.times for ms in times), default=0.0)
        return 1e3 * self.tokens / max(last, 1e-3)

    @property
    def each(self) -> float:
        """Tokens per second that one who asked sees, from the request to the last token."""
        one = [self.new.get(n, len(times)) / max(times[-1], 1e-3) for n, times in enumerate(self.times) if times]
        return 1e3 * median(one) if one else 0.0


def _at_once(backend: Backend, p: Mapping[str, Any], report: Report) -> Iterator[Frame]:
    """1, 2, 4 … requests at once, up to as many as are set."""
    most, loads = min(p["batch"], CONNECTIONS), dict[int, Load]()
    shown = report.views
    for size in sizes_up_to(most):
        loads[size] = _load(backend, p, size)
        report.show(*shown, texts_at_once=at_once(loads))
        report.say(f"{plural(size, 'request')} at once: {_pace(loads[size])}.")
        yield report.frame(0.3 + 0.4 * size / most)
    report.measure(batch=most, tok_per_s_by_batch={str(size): load.in_all for size, load in loads.items()})
    bend = knee({size: load.in_all for size, load in loads.items()})
    told = f"more than {bend} at once bring little" if bend < most else f"up to {most} at once it still pays"
    report.say(f"{plural(most, 'request')} at once: {_pace(loads[most])}; {told}.")


def sizes_up_to(most: int) -> list[int]:
    return [*(2**n for n in range(most.bit_length()) if 2**n < most), most]


def knee(tokens_per_s: Mapping[int, float]) -> int:
    """The number of requests after which twice as many are no longer worth it."""
    for (few, slow), (many, fast) in pairwise(tokens_per_s.items()):
        if fast < slow * (1 + (WORTH - 1) * (many / few - 1)):
            return few
    return max(tokens_per_s)


def _load(backend: Backend, p: Mapping[str, Any], size: int) -> Load:
    asks = [Ask(prompt_for(backend, f"{n + 1}. {p['text']}", True), p["max_new_tokens"] + 1) for n in range(size)]
    load = Load([[] for _ in asks])
    for number, part in backend.together(asks):
        if isinstance(part, Piece):
            load.times[number].append(part.ms)
        elif isinstance(part, Ended) and part.new_tokens is not None:
            load.new[number] = part.new_tokens
    return load


def _pace(load: Load) -> str:
    return f"{figure(load.in_all)} tokens/s in all, {figure(load.each)} for each"


def at_once(loads: Mapping[int, Load]) -> Curve:
    in_all, each = ([getattr(load, name) for load in loads.values()] for name in ("in_all", "each"))
    bend = knee(dict(zip(loads, in_all, strict=True)))
    lines = (series("all together", list(loads), in_all), series("each of them", list(loads), each))
    marks = (Mark("the knee", bend, loads[bend].in_all),)
    return Curve("tokens per second", lines, "requests at once", "tokens/s", marks=marks, y_range=(0.0, max(in_all)))


def _prompts(backend: Backend, p: Mapping[str, Any], report: Report) -> Iterator[Frame]:
    """Prompts of more and more tokens, each beginning otherwise, so that nothing of it was kept."""
    shown, said, times = report.views, report.caption, dict[int, float]()
    words = p["text"].split() or ["word"]
    for length in [n for n in WORDS_LONG if n < p["max_prompt"]] + [p["max_prompt"]]:
        text = " ".join([secrets.token_hex(2), *(words[n % len(words)] for n in range(length))])
        given = answer(backend, Ask(prompt_for(backend, text, False), 1))
        times[given.ended.prompt_tokens or length] = given.ended.ms if not given.pieces else _first(given)
        ordered: Sequence[tuple[int, float]] = sorted(times.items())
        line = series("measured, with the way there", [n for n, _ in ordered], [ms for _, ms in ordered])
        report.show(*shown, time_per_pass=Curve("until the first token", (line,), "tokens of the prompt", "ms"))
        yield report.frame(0.9)
    report.say(said)
