"""The end token of a served model, as far as it is among the likeliest: along an answer, and after each line of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from llm_holes.engine.backends.backend import (
    Answer,
    Ask,
    Backend,
    Capability,
    Ended,
    Likely,
    Piece,
    Written,
    answer,
    most,
    stream,
)  # fmt: skip
from llm_holes.engine.frames import Array, Frame, Heatmap, RankRace, Runner, Table, Text, Tokens
from llm_holes.engine.numbers import percent, plural
from llm_holes.engine.spelling import spaced, spelt
from llm_holes.lessons.served import OFFER
from llm_holes.lessons.shared.asking import END, any_of, is_end, name_of, prompt_for, same, token_of, whole_prompt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier4.stopping.text_ends import ends_in, number_in, value_of, variants

NEEDS: frozenset[Capability] = frozenset({"top 20"})
VIEWS: Mapping[str, frozenset[Capability]] = {
    "rank race": frozenset(),
    "number asked for": frozenset({"completions", "template"}),
    "what ends it": frozenset(),
}
BETS = frozenset({"boundary_of_peak"})
UNSEEN: Mapping[str, str] = {
    "two ends": "An API ends an answer at one token, and tells of no other that could have.",
    "if it may not stop": "An API shows no score that could be changed; few servers let the end be forbidden.",
}
HIDING = "An API lets nobody take away what the model looks at."
CONNECTIONS = 4
TOLD, MOST_ENDS = 200, 8
DARK, LIKELY, MATTERS = 0.2, 0.2, 0.7


@dataclass
class Wrote:
    """The answer so far: its tokens with the likeliest of each place, and how it ended."""

    pieces: list[Piece] = field(default_factory=list)
    ended: Ended | None = None

    @property
    def places(self) -> list[Written]:
        return [one for piece in self.pieces for one in piece.tokens]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    report, found = Report(), Wrote()
    top = min(TOLD, most(backend.capabilities))
    ask = Ask(
        prompt_for(backend, p["text"], p["chat_template"]), p["max_new_tokens"], top, p["temperature"], p["seed"],
        _stop(p),
    )  # fmt: skip
    for part in stream(backend, ask):
        if isinstance(part, Ended):
            found.ended = part
            continue
        found.pieces.append(part)
        report.show(rank_race=_race(found.places, top), the_answer=_strip(found.places))
        report.say(f"Token {len(found.places)}: P({END}) is {percent(p_end(found.places[-1]))}.")
        yield report.frame(0.6 * len(found.places) / p["max_new_tokens"])
    _see_the_end(backend, p, found, top)
    _measure(report, found, top)
    report.show(rank_race=_race(found.places, top), the_answer=_strip(found.places))
    yield report.frame(0.6)
    if {"completions", "template"} <= backend.capabilities:
        yield from _by_request(backend, p, report, found, top)
    report.show_also(what_ends_it=_endings(backend, p, found, ask))
    yield report.frame()


def p_end(place: Written) -> float:
    """How likely the end is at a place, as far as it is among the tokens that were told."""
    return sum(likely.p for likely in place.top if is_end(likely))


def rank_of_end(place: Written, top: int) -> int:
    """Its place in the ranking, from 1; one behind the last that was told if it is not among them."""
    return next((n for n, likely in enumerate(place.top, 1) if is_end(likely)), top + 1)


def _stop(p: Mapping[str, Any]) -> tuple[str, ...]:
    text = p["stop_string"].replace("\\n", "\n")
    return (text,) if text else ()


def _see_the_end(backend: Backend, p: Mapping[str, Any], found: Wrote, top: int) -> None:
    """Where the answer ended by itself and its last token was not told, what could have stood there."""
    assert found.ended is not None
    places = found.places
    if found.ended.reason != "end token" or (places and is_end(places[-1].token)) or _stop(p):
        return
    whole = whole_prompt(backend, p["text"], p["chat_template"])
    if whole is None:
        return
    looked = answer(backend, Ask(whole + found.text, 1, top)).tokens
    if looked:
        last = Written(looked[0].top[0], looked[0].top)
        found.pieces.append(Piece("", (last,), found.ended.ms))


def _measure(report: Report, found: Wrote, top: int) -> None:
    assert found.ended is not None
    places = any_of(found.places)
    last, before = places[-1], places[-2] if len(places) > 1 else places[-1]
    ranks = [rank_of_end(place, top) for place in places]
    ends = ends_in([place.token.data for place in places if not is_end(place.token)])
    report.measure(
        answer=found.text, stop_reason=found.ended.reason, end_token=END, p_end_per_step=[p_end(one) for one in places],
        end_rank_per_step=ranks, p_end_at_stop=p_end(last), p_end_before_stop=p_end(before),
        end_rank_before_stop=rank_of_end(before, top), tokens_generated=len(places),
    )  # fmt: skip
    over = [ranks[end] for end in ends if end < len(ranks)]
    inside = [rank for n, rank in enumerate(ranks) if n not in ends]
    if over and inside:
        at_ends, elsewhere = round(median(over)), round(median(inside))
        report.measure(
            end_rank_at_ends=at_ends, end_rank_inside=elsewhere, end_nearer_at_ends=at_ends < MATTERS * elsewhere
        )
    if found.ended.prompt_tokens is not None:
        report.measure(prompt_tokens=found.ended.prompt_tokens)
    report.say(
        f"Ended by: {found.ended.reason}, after {plural(len(places), 'token')}; P({END}) was {percent(p_end(last))}."
    )


def _by_request(backend: Backend, p: Mapping[str, Any], report: Report, found: Wrote, top: int) -> Iterator[Frame]:
    """P(end) after each line of one answer, read behind requests for other numbers."""
    if p["hide_number"]:
        report.show_also(number_asked_for=Text("the number hidden", f"{HIDING} {OFFER}"))
        return
    read = p["text_b"].replace("\\n", "\n") or found.text
    lines, views = _until_each_end(read), report.views
    rows: dict[str, list[float]] = {}
    for number, message in variants(p["text"]).items():
        whole = whole_prompt(backend, message, p["chat_template"])
        rows[number] = _after_each(backend, [f"{whole}{line}" for line in lines], top)
        report.show(*views, number_asked_for=_map(rows, lines))
        yield report.frame(0.6 + 0.3 * len(rows) / 5)
    number = number_in(p["text"])
    seen = rows[number]
    peak = max(range(len(seen)), key=seen.__getitem__)
    earlier = max(seen[:peak], default=0.0)
    report.measure(
        p_end_per_boundary=seen, boundary_of_peak=peak + 1, p_end_at_peak=seen[peak], p_end_before_peak=earlier,
        names_number=bool(number), map_shows="the peak",
        peak_as_asked=peak + 1 == value_of(number) and seen[peak] > LIKELY,
        dark_before_peak=peak > 0 and earlier < min(DARK, seen[peak]),
    )  # fmt: skip


def _until_each_end(text: str) -> list[str]:
    """The text up to each end of a line or sentence."""
    ends = ends_in([character.encode() for character in text])
    return [text[:end] for end in ends[:MOST_ENDS]] or [""]


def _after_each(backend: Backend, texts: Sequence[str], top: int) -> list[float]:
    chances = [0.0] * len(texts)
    for start in range(0, len(texts), CONNECTIONS):
        some = texts[start : start + CONNECTIONS]
        for number, part in backend.together([Ask(text, 1, top) for text in some]):
            if isinstance(part, Piece) and part.tokens:
                chances[start + number] = p_end(part.tokens[0])
    return chances


def _map(rows: Mapping[str, Sequence[float]], lines: Sequence[str]) -> Heatmap:
    return Heatmap(
        "P(end) after each line or sentence",
        Array.of([list(row) for row in rows.values()]),
        row_label="asked for",
        column_label="after line",
        row_names=tuple(number or "no number" for number in rows),
        column_names=tuple(f"{n}{'' if line else ' (nothing)'}" for n, line in enumerate(lines, 1)),
        unit="probability",
        first=1,
        details=tuple(
            f"asked for {number or 'no number'}, after {spelt(line[-12:])}: P(end) {percent(p)}"
            for number, row in rows.items()
            for line, p in zip(lines, row, strict=True)
        ),
    )


def _race(places: Sequence[Written], top: int) -> RankRace:
    """The end beside its strongest rival at the last step; a rank behind the last one told is one behind it."""
    rival = next((likely for likely in places[-1].top if not is_end(likely)), places[-1].token)
    runners = (
        Runner(END, tuple(rank_of_end(place, top) for place in places)),
        Runner(spaced(name_of(rival)), tuple(_rank(rival, place, top) for place in places)),
    )
    stops = ends_in([place.token.data for place in places if not is_end(place.token)])
    return RankRace(
        f"the rank of the end among the {top} likeliest, step by step",
        tuple(spaced(name_of(place.token)) for place in places),
        runners,
        tuple(stop for stop in stops if stop < len(places)),
        "a line or sentence is over",
        top + 1,
    )


def _rank(token: Likely, place: Written, top: int) -> int:
    return next((n for n, likely in enumerate(place.top, 1) if same(likely, token)), top + 1)


def _strip(places: Sequence[Written]) -> Tokens:
    chances = [p_end(place) for place in places]
    tokens = tuple(token_of(one.token, f"P(end) here {percent(p)}") for one, p in zip(places, chances, strict=True))
    return Tokens("the answer, shaded by P(end)", tokens, tuple(chances), "P(end)")


def _endings(backend: Backend, p: Mapping[str, Any], found: Wrote, ask: Ask) -> Table:
    """The same answer, ended half-way by a limit, and by a text in the middle of it."""
    assert found.ended is not None
    half = max(len(found.places) // 2, 1)
    rows: list[tuple[str, str, str]] = [("as you set it", found.ended.reason, spelt(found.text))]
    words = found.text.split()
    limited = answer(backend, Ask(ask.prompt, half, 0, ask.temperature, ask.seed))
    rows.append((f"at most {plural(half, 'token')}", limited.ended.reason, spelt(limited.text)))
    if not _stop(p) and len(words) > 1:
        stop = words[len(words) // 2]
        cut: Answer = answer(backend, Ask(ask.prompt, ask.max_tokens, 0, ask.temperature, ask.seed, (stop,)))
        rows.append((f"stop string {spelt(stop)}", "stop string", spelt(cut.text)))
    return Table("one answer, ended in several ways", ("limit", "ended by", "what you read"), tuple(rows))
