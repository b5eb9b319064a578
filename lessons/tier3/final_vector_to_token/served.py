"""The sorted list as a server tells it: its beginning, where filters cut it, and a sentence said again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_holes.engine.backends.backend import Ask, Backend, Capability, Likely, answer, most
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bars, Curve, Cut, Frame, RankedList, series
from llm_holes.engine.numbers import percent
from llm_holes.lessons.shared.asking import name_of, named, prompt_for
from llm_holes.lessons.shared.report import Report

NEEDS: frozenset[Capability] = frozenset({"top 5"})
VIEWS: Mapping[str, frozenset[Capability]] = {
    "the sorted list": frozenset(),
    "sure and open": frozenset(),
    "the loop": frozenset({"prompt chances"}),
}
BETS = frozenset[str]()
UNSEEN: Mapping[str, str] = {
    "with heat": "An API tells the beginning of the list, and heat is about its long rest.",
    "two orders": "A server draws by itself, in one order, and shows no list that it drew from.",
    "what it costs": "An API shows no table, and not what is read from memory.",
}
CONNECTIONS = 1
LISTED, COPIES, MOST_TOKENS = 18, 9, 40


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    report = Report()
    first = _told(backend, p, p["text"])
    best = first.listed[0]
    report.measure(_kept_by_each(first, p), top_token=name_of(best), p_top1_unfiltered=best.p)
    left = first.kept(p["top_k"], p["top_p"], p["min_p"])
    if left is not None:
        share = best.p / sum(likely.p for likely in first.listed[:left])
        report.measure(kept_tokens=left, kept_tokens_filters_first=left, p_top1=share)
    report.show(the_sorted_list=_list(first, p))
    cut = f"{left:,} tokens left by the filters; " if left is not None else ""
    report.say(f"{cut}{named(best)} has {percent(best.p)} of all, before heat and filters.")
    yield report.frame(0.4)

    other = _told(backend, p, p["text_b"])
    report.measure({f"{name}_b": count for name, count in _kept_by_each(other, p).items()})
    report.measure(p_top1_b=other.listed[0].p, top_token_b=name_of(other.listed[0]))
    report.show_also(sure_and_open=_both({"first": first, "second": other}, p))
    yield report.frame(0.7)
    if "prompt chances" in backend.capabilities:
        measured, curve = _loop(backend, p["loop"])
        report.measure(measured)
        report.show_also(the_loop=curve)
    yield report.frame()


@dataclass(frozen=True)
class Told:
    """The beginning of a list, the likeliest first."""

    listed: tuple[Likely, ...]

    def kept(self, top_k: int, top_p: float, min_p: float) -> int | None:
        """How many tokens the filters leave, one after the other; None where that is beyond what was told."""
        count = len(self.listed)
        ends = [min(top_k, count)] if top_k else []
        whole = sum(likely.p for likely in self.listed[: ends[0]]) if ends else 1.0
        total = 0.0
        for n, likely in enumerate(self.listed[: min(ends, default=count)]):
            if (top_p < 1 and total >= top_p * whole) or likely.p < min_p * self.listed[0].p:
                return max(n, 1)
            total += likely.p
        return ends[0] if ends and top_k <= count else None


def _told(backend: Backend, p: Mapping[str, Any], text: str) -> Told:
    ask = Ask(prompt_for(backend, text, p["chat_template"]), 1, most(backend.capabilities))
    tokens = answer(backend, ask).tokens
    if not tokens:
        raise InputError("the server ended its answer before the first token", "Type another text.")
    return Told(tokens[0].top)


def _kept_by_each(told: Told, p: Mapping[str, Any]) -> dict[str, int]:
    alone = {
        "kept_by_topk": told.kept(p["top_k"], 1.0, 0.0),
        "kept_by_topp": told.kept(0, p["top_p"], 0.0),
        "kept_by_minp": told.kept(0, 1.0, p["min_p"]),
    }
    return {name: count for name, count in alone.items() if count is not None}


def _filters(told: Told, p: Mapping[str, Any]) -> dict[str, int]:
    """Each filter that is on by its name, with how many tokens it leaves, as far as that can be told."""
    names = {
        "kept_by_topk": f"top-k {p['top_k']}",
        "kept_by_topp": f"top-p {percent(p['top_p'])}",
        "kept_by_minp": f"min-p {percent(p['min_p'])}",
    }
    return {names[name]: count for name, count in _kept_by_each(told, p).items()}


def _list(told: Told, p: Mapping[str, Any]) -> RankedList:
    shown = told.listed[:LISTED]
    cuts = tuple(Cut(name, count) for name, count in _filters(told, p).items())
    return RankedList(
        "what may come next, before any heat",
        tuple(map(name_of, shown)),
        tuple(likely.p for likely in shown),
        cuts,
        len(told.listed),
        max(0.0, 1 - sum(likely.p for likely in shown)),
    )


def _both(texts: Mapping[str, Told], p: Mapping[str, Any]) -> Bars:
    found = {name: _filters(told, p) for name, told in texts.items()}
    both = [name for name in found["first"] if name in found["second"]]
    bars = {f"{text}: {name}": float(found[text][name]) for name in both for text in texts}
    return Bars("tokens kept", tuple(bars), tuple(bars.values()), "tokens")


def _loop(backend: Backend, sentence: str) -> tuple[dict[str, Any], Curve]:
    """The mean chance of a sentence's tokens by how often it was there already, without any penalty."""
    first, again = sentence.strip(), f" {sentence.strip()}"
    told = backend.chances(first + again * (COPIES - 1))
    each = _copy_lengths(told, len(first.encode()), len(again.encode()))
    if not each or max(len(copy) for copy in each) > MOST_TOKENS:
        raise InputError("the sentence to repeat is empty or too long", f"At most {MOST_TOKENS} tokens, please.")
    means = [sum(likely.p for likely in copy) / len(copy) for copy in each]
    times = range(1, len(means) + 1)
    measured = {
        "p_next_copy_by_repeats": means, "repeats": len(means), "p_copy_first": means[0], "p_copy_last": means[-1],
    }  # fmt: skip
    line = series("as it is", times, means)
    return measured, Curve("one more copy", (line,), "times said", "chance of the next token", y_range=(0, 1))


def _copy_lengths(told: Sequence[Likely], first: int, again: int) -> list[list[Likely]]:
    """The tokens of each copy after the first, which begin in it."""
    copies: list[list[Likely]] = [[] for _ in range(COPIES - 1)]
    at = 0
    for likely in told:
        if at >= first and (at - first) // again < len(copies):
            copies[(at - first) // again].append(likely)
        at += len(likely.data)
    return [copy for copy in copies if copy]
