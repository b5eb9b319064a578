"""The same few requests to any backend, for the answers of two to be compared, and those of one with each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_holes.engine.backends.backend import DRAWN, MEANING, Answer, Ask, Backend, Capability, answer, most
from llm_holes.engine.frames import Frame, Table, Text, Value, View

DOCTOR, ANSWERS = "doctor", "doctor answers"
"""Runs that are no lessons: checks of an engine by itself, and what `differences` compares."""
TEXTS = ("The capital of France is", "Once upon a time, there was a")
WRITTEN, TOP = 8, 5
ROUNDING = 1e-3
"""How far two chances of fp32 models may be apart, computed in other orders."""


def asks(can: frozenset[Capability]) -> Iterator[tuple[str, Ask]]:
    """What is asked, each under a name: bare texts, and the first of them as a message."""
    top = min(TOP, most(can))
    if "completions" in can:
        yield from ((f"text {n}", Ask(text, WRITTEN, top)) for n, text in enumerate(TEXTS, 1))
    if "chat" in can:
        yield "message", Ask(({"role": "user", "content": TEXTS[0]},), WRITTEN, top)


def answered(backend: Backend) -> Iterator[tuple[str, Answer]]:
    for name, ask in asks(backend.capabilities):
        yield name, answer(backend, ask)


def answers(backend: Backend) -> Iterator[Frame]:
    """One frame that measures what was answered: of each request its text, and the chances of its first token."""
    measured: dict[str, Value] = {}
    for name, given in answered(backend):
        if "greedy" in backend.capabilities:
            measured[name] = given.text
        if given.tokens:
            measured[f"{name} chances"] = {one.text: one.p for one in given.tokens[0].top}
    yield Frame("answers", measured=measured)


def differences(ours: Mapping[str, Value], theirs: Mapping[str, Value]) -> Iterator[tuple[str, float, float]]:
    """Checks of what both measured: name, figure, and what that may be at most."""
    both = [name for name in ours if name in theirs]
    texts = [name for name in both if isinstance(ours[name], str)]
    if texts:
        yield "answers other than the local model's", float(sum(ours[n] != theirs[n] for n in texts)), 0.0
    largest = [_apart(ours[n], theirs[n]) for n in both if n not in texts]
    if largest:
        yield "largest difference of a chance", max(largest), ROUNDING


def _apart(one: Any, other: Any) -> float:
    tokens = one.keys() & other.keys()
    return max((abs(one[token] - other[token]) for token in tokens), default=1.0)


def doctor(backend: Backend) -> Iterator[Frame]:
    """What the server can do, and whether its answers agree with each other."""
    can = backend.capabilities
    rows = tuple((name, "yes" if name in can else "no", meaning) for name, meaning in MEANING.items())
    able: tuple[View, ...] = (Table("what the server can do", ("", "", "it"), rows),)
    if "greedy" not in can:
        able = (*able, Text("its answers", DRAWN))
    if backend.about_tokens:
        able = (*able, Text("where its tokens come from", backend.about_tokens))
    yield Frame("the server answers", able, progress=0.3)
    checks = list(_checks(backend))
    failed = sum(figure > limit for _, figure, limit in checks)
    found = tuple((name, figure, limit, "ok" if figure <= limit else "FAILED") for name, figure, limit in checks)
    yield Frame(
        f"{len(checks) - failed} of {len(checks)} checks hold" + (f", {failed} FAILED" if failed else ""),
        (*able, Table("self-checks", ("check", "figure", "at most", ""), found)),
        {**{name: figure for name, figure, _ in checks}, "failed": failed},
    )


def _checks(backend: Backend) -> Iterator[tuple[str, float, float]]:
    first, again = dict(answered(backend)), dict(answered(backend))
    greedy = "greedy" in backend.capabilities
    if greedy:
        yield "answers that differ when asked again", float(sum(first[n].text != again[n].text for n in first)), 0.0
    tokens = [one for given in first.values() for one in given.tokens]
    if tokens:
        sums = [sum(likely.p for likely in one.top) for one in tokens]
        yield "chances of one place, above 1", max(0.0, max(sums) - 1.0), ROUNDING
        unlike = sum(one.token.p < one.top[0].p - 1e-6 for one in tokens if one.top)
        if greedy:
            yield "tokens written that are not the likeliest", float(unlike), 0.0
        yield "texts other than their tokens", float(sum(not _is_joined(given) for given in first.values())), 0.0
    if {"tokenize", "usage", "completions"} <= backend.capabilities:
        counted = first["text 1"].ended.prompt_tokens or 0
        # one more where every text begins with a token of its own
        yield "tokens counted but not cut", float(abs(counted - len(backend.encode(TEXTS[0])))), 1.0
    if "prompt chances" in backend.capabilities or "echo" in backend.capabilities:
        told = backend.chances(TEXTS[0])
        yield "texts other than their tokens, read back", float(_joined_otherwise(told)), 0.0


def _is_joined(given: Answer) -> bool:
    """Whether the text is that of its tokens, but for one at its end that nobody sees."""
    pieces = [one.token.data for one in given.tokens]
    return given.text.encode() in (b"".join(pieces), b"".join(pieces[:-1]))


def _joined_otherwise(told: Sequence[Any]) -> bool:
    joined = b"".join(likely.data for likely in told).decode("utf-8", "replace")
    return not TEXTS[0].endswith(joined) and not joined.endswith(TEXTS[0])
