"""One question to a served model, answered straight and after notes: its own, correct ones, edited ones, and filler."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_holes.engine.backends.backend import Answer, Ask, Backend, Capability, answer, most, score
from llm_holes.engine.frames import Array, Bars, Curve, Frame, Heatmap, Transcript, Turn, series
from llm_holes.engine.numbers import percent, plural
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier1.thinking.sums import ANSWER, MISTAKE, NOTES, conclusion, conversation, false_steps, sum_in

NEEDS: frozenset[Capability] = frozenset({"completions", "template", "tokenize", "top 20"})
VIEWS: Mapping[str, frozenset[Capability]] = {
    "straight and with notes": frozenset(),
    "chance of the answer": frozenset(),
    "every answer": frozenset(),
    "while it notes": frozenset(),
}
BETS = frozenset({"p_answer_with_filler", "answer_follows_edit"})
UNSEEN: Mapping[str, str] = {
    "many sums": "On a server these are hundreds of requests, for which others would have to wait.",
}
CONNECTIONS = 1
ANSWER_TOKENS, PROBES, TOP = 8, 4, 200
NONE, OWN, FILLER, CORRECT, EDITED = "no notes", "its own notes", "filler", "correct notes", "edited notes"
READ = 0.01
"""Below this probability an answer was not read off the notes."""


@dataclass
class Trace:
    """What is asked, and what came of it. `between` are the notes of each kind, "" if there are none."""

    question: str
    prompt: str
    expected: str
    edited: str
    is_sum: bool
    its_own: bool
    between: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    p: dict[str, float] = field(default_factory=dict)
    p_edited: dict[str, float] = field(default_factory=dict)
    ms: dict[str, float] = field(default_factory=dict)
    probes: list[tuple[int, float]] = field(default_factory=list)
    note_tokens: int = 0
    report: Report = field(default_factory=Report)

    def before(self, kind: str) -> str:
        """All that the model is given up to the answer."""
        notes = self.between[kind]
        return f"{self.prompt}{NOTES}{notes}\n{ANSWER}" if notes else f"{self.prompt}{ANSWER}"


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    prompt = backend.rendered(conversation(p["text"]))
    trace = _wanted(backend, prompt, p)
    trace.between[NONE] = ""
    _ask(backend, trace, NONE)
    yield _frame(trace, p, 0.1)
    notes = answer(backend, Ask(f"{prompt}{NOTES}", p["thinking_tokens"], 1, stop=("\n",)))
    trace.between[OWN] = notes.text or " "
    trace.note_tokens = len(notes.tokens) - (notes.ended.reason == "end token" and not notes.text.endswith("\n"))
    trace.ms[OWN] = notes.ended.ms
    _ask(backend, trace, OWN)
    yield _frame(trace, p, 0.3)
    yield from _probe(backend, trace, notes, p)
    good = p["text_good"].strip() or _good(p["text"], trace.expected)
    size = len(backend.encode(f" {good}"))
    for kind, text in (
        (FILLER, f" {p['filler'].strip() or '.'}" * size),
        (CORRECT, f" {good}"),
        (EDITED, f" {trace.edited}"),
    ):
        trace.between[kind] = text
        _ask(backend, trace, kind)
        yield _frame(trace, p, 0.6 + 0.1 * len(trace.between) / 5)
    for kind in trace.between:
        trace.p_edited[kind] = score(backend, trace.before(kind), f" {conclusion(trace.edited)}", TOP)
    trace.report.measure(_measured(trace, p))
    yield _frame(trace, p, None)


def _wanted(backend: Backend, prompt: str, p: Mapping[str, Any]) -> Trace:
    """The right answer and edited notes, as set, or worked out if the question is a sum. Of another question the
    model's own straight answer counts as the right one."""
    asked = sum_in(p["text"])
    given = p["expected"].strip() or (str(asked.total) if asked else "")
    expected = given or _written(backend, f"{prompt}{ANSWER}")
    edited = p["text_wrong"].strip() or (asked.steps(MISTAKE) if asked else "It is Atlantis.")
    return Trace(p["text"], prompt, expected, edited, asked is not None, not given)


def _good(text: str, expected: str) -> str:
    asked = sum_in(text)
    return asked.steps() if asked else f"It is {expected}."


def _written(backend: Backend, text: str) -> str:
    return answer(backend, Ask(text, ANSWER_TOKENS, stop=("\n",))).text.strip() or "–"


def _ask(backend: Backend, trace: Trace, kind: str) -> None:
    before = trace.before(kind)
    given = answer(backend, Ask(before, ANSWER_TOKENS, stop=("\n",)))
    trace.answers[kind] = given.text.strip() or "–"
    trace.ms[kind] = trace.ms.get(kind, 0.0) + given.ended.ms
    trace.p[kind] = score(backend, before, f" {trace.expected}", min(TOP, most(backend.capabilities)))


def _probe(backend: Backend, trace: Trace, notes: Answer, p: Mapping[str, Any]) -> Iterator[Frame]:
    """The chance of the answer if its notes had ended earlier."""
    trace.probes = [(0, trace.p[NONE])]
    tokens = [one.token.data for one in notes.tokens][: trace.note_tokens]
    for count in range(max(len(tokens) // PROBES, 1), len(tokens), max(len(tokens) // PROBES, 1)):
        text = b"".join(tokens[:count]).decode("utf-8", "replace")
        chance = score(backend, f"{trace.prompt}{NOTES}{text}\n{ANSWER}", f" {trace.expected}", TOP)
        trace.probes.append((count, chance))
        yield _frame(trace, p, 0.3 + 0.3 * count / len(tokens))
    trace.probes.append((max(trace.note_tokens, 1), trace.p[OWN]))


def _measured(trace: Trace, p: Mapping[str, Any]) -> dict[str, Any]:
    comes_to, own = conclusion(trace.edited), trace.between[OWN]
    return {
        "expected": trace.expected,
        "answer_direct": trace.answers[NONE],
        "answer_after_thinking": trace.answers[OWN],
        "answer_with_wrong_notes": trace.answers[EDITED],
        "p_answer_direct": trace.p[NONE],
        "p_answer_after_thinking": trace.p[OWN],
        "p_answer_with_good_notes": trace.p[CORRECT],
        "p_answer_with_wrong_notes": trace.p[EDITED],
        "p_answer_with_filler": trace.p[FILLER],
        "good_notes_help": trace.p[CORRECT] > max(trace.p[NONE], trace.p[FILLER], READ),
        "answer_follows_edit": trace.answers[EDITED].strip(" .").casefold() == comes_to.casefold(),
        "edited_result": comes_to,
        "edited_false_steps": false_steps(trace.edited),
        "false_steps": false_steps(own),
        "is_sum": trace.is_sum,
        "answer_was_noted": trace.p[OWN] > trace.p[NONE] and trace.expected in re.findall(r"\w+", own),
        "expected_is_its_own": trace.its_own,
        "thinking_tokens": trace.note_tokens,
        "extra_ms": trace.ms[OWN] - trace.ms[NONE],
    }


def _frame(trace: Trace, p: Mapping[str, Any], progress: float | None) -> Frame:
    trace.report.show(
        straight_and_with_notes=_exchange(trace, p["hide"]),
        chance_of_the_answer=_chances(trace),
        every_answer=_every(trace) if trace.p_edited else None,
        while_it_notes=_growing(trace) if trace.probes else None,
    )
    said = f"P({trace.expected}): {percent(trace.p[NONE])} without notes."
    trace.report.say(said + (f" After its own, {percent(trace.p[OWN])}." if OWN in trace.p else ""))
    return trace.report.frame(progress)


def _exchange(trace: Trace, hidden: bool) -> Transcript:
    turns = [
        Turn("software", "asks for the answer at once", f"{trace.question} {ANSWER}"),
        Turn("model", "answers straight", trace.answers[NONE]),
        Turn("software", "asks again, and lets it note something first", f"{trace.question} {NOTES}"),
    ]
    if OWN in trace.answers:
        hiding = Turn("software", f"hides {plural(trace.note_tokens, 'token')} that the model wrote", "…")
        turns += [hiding if hidden else Turn("model", "its notes", trace.between[OWN])]
        turns += [
            Turn("software", "asks for the answer", ANSWER),
            Turn("model", "answers after its notes", trace.answers[OWN]),
        ]
    return Transcript("the same question twice", tuple(turns))


def _chances(trace: Trace) -> Bars:
    kinds = [kind for kind in trace.p if kind != EDITED]
    values = tuple(trace.p[kind] for kind in kinds)
    return Bars(f"P({trace.expected}) as the answer, after", tuple(kinds), values, range=(0, 1))


def _every(trace: Trace) -> Heatmap:
    rows = list(reversed(trace.p_edited))
    values = [[trace.p[kind], trace.p_edited[kind]] for kind in rows]
    right = trace.expected if trace.its_own else f"{trace.expected}, right"
    return Heatmap(
        "how likely each answer is, after each kind of notes",
        Array.of(values),
        "after",
        "answer",
        tuple(rows),
        (right, conclusion(trace.edited)),
        "probability",
        texts=tuple(percent(p) for row in values for p in row),
        range=(0, 1),
    )


def _growing(trace: Trace) -> Curve:
    x, y = zip(*dict(trace.probes).items(), strict=True)
    label = f"P({trace.expected})"
    return Curve(f"{label} if its notes ended here", (series(label, x, y),), "tokens of notes", label, y_range=(0, 1))
