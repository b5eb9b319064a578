"""What the thinking lesson has measured so far, and how it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Bars, Curve, Frame, Heatmap, Table, Tokens, Transcript, Turn, series
from llm_holes.engine.measure import Timing
from llm_holes.engine.numbers import duration, percent, plural
from llm_holes.lessons.shared.report import keyed
from llm_holes.lessons.tier1.thinking.sums import ANSWER, NOTES, conclusion, false_steps
from llm_holes.lessons.tier1.thinking.trials import KINDS, Rate

SHOWN = 64
NONE, OWN, FILLER, CORRECT, EDITED = "no notes", "its own notes", "filler", "correct notes", "edited notes"
COUNTS = tuple(
    f"right_{name}"
    for name in (
        "direct",
        "after_thinking",
        "with_good_notes",
        "with_unfinished_notes",
        "with_wrong_notes",
        "with_filler",
    )
)
"""The names the numbers of right answers are published under, in the order of KINDS."""
MOST_NAMED = 5
READ = 0.01
"""Below this probability an answer was not read off the notes."""
LEAST = 0.001
"""Smaller probabilities are not written into the map."""


@dataclass(frozen=True)
class Outcome:
    """What was put between question and answer, and what came of it."""

    kind: str
    tokens: int
    ms: float
    p: float
    answer: str


@dataclass
class ThinkingTrace:
    """What is asked, and what has been measured so far. `thoughts` are the tokens the model wrote as notes, each with
    its p and ms; `candidates` holds for each kind of notes the probabilities of the answers that are `named`."""

    question: str
    expected: str
    correct: str
    edited: str
    is_sum: bool
    its_own: bool
    """Whether the right answer is not known, so that the model's own straight answer stands for it."""
    hidden: bool
    outcomes: list[Outcome] = field(default_factory=list)
    thoughts: list[tuple[int, float, float]] = field(default_factory=list)
    probes: list[tuple[int, float]] = field(default_factory=list)
    candidates: dict[str, list[float]] = field(default_factory=dict)
    rates: list[Rate] = field(default_factory=list)

    def of(self, kind: str) -> Outcome:
        return next(outcome for outcome in self.outcomes if outcome.kind == kind)

    def named(self) -> list[str]:
        """The answers to compare: the right one, what the edited notes come to, and what was answered."""
        found = [self.expected, conclusion(self.edited), *(outcome.answer for outcome in self.outcomes)]
        return list(dict.fromkeys(found))[:MOST_NAMED]


def frame(engine: Engine, trace: ThinkingTrace, prompt: list[int], progress: float | None) -> Frame:
    views = keyed(
        {
            "straight_and_with_notes": _exchange(engine, trace),
            "chance_of_the_answer": _chances(trace),
            "every_answer": _candidates(trace),
            "while_it_notes": _growing(trace),
            "many_sums": _rates(trace) if trace.rates or progress is None else None,
            "its_own_notes": _notes(engine, trace),
            "what_it_answers": _costs(engine, trace),
            "how_sure": _ranges(trace) if trace.rates else None,
            "before_the_notes": Tokens("the end of what is before the notes", engine.tokens(prompt[-SHOWN:])),
        }
    )
    return Frame(_caption(trace), views, _measured(engine, trace) if progress is None else {}, progress)


def _exchange(engine: Engine, trace: ThinkingTrace) -> Transcript:
    """Both ways to the answer, one after the other; hidden notes are counted, not shown."""
    turns = [
        Turn("software", "asks for the answer at once", f"{trace.question} {ANSWER}"),
        Turn("model", "answers straight", trace.of(NONE).answer),
        Turn("software", "asks again, and lets it note something first", f"{trace.question} {NOTES}"),
    ]
    ids = [token for token, _, _ in trace.thoughts]
    if trace.hidden and ids:
        turns.append(Turn("software", f"hides {plural(len(ids), 'token')} that the model wrote", "…"))
    elif ids:
        turns.append(Turn("model", "its notes", tokens=engine.tokens(ids)))
    if any(outcome.kind == OWN for outcome in trace.outcomes):
        turns.append(Turn("software", "asks for the answer", ANSWER))
        turns.append(Turn("model", "answers after its notes", trace.of(OWN).answer))
    return Transcript("the same question twice", tuple(turns))


def _candidates(trace: ThinkingTrace) -> Heatmap:
    """Which answer follows each kind of notes; the edited ones, which the learner changes, come first."""
    rows, names = list(reversed(trace.candidates)), trace.named()
    return Heatmap(
        "how likely each answer is, after each kind of notes",
        Array.of([trace.candidates[row] for row in rows] if rows else [[0.0] * len(names)]),
        "after",
        "answer",
        tuple(rows or [NONE]),
        tuple(f"{name}, right" if name == trace.expected and not trace.its_own else name for name in names),
        "probability",
        texts=tuple(percent(p) if p >= LEAST else "" for row in rows for p in trace.candidates[row]),
        range=(0, 1),
    )


def _notes(engine: Engine, trace: ThinkingTrace) -> Tokens:
    notes = [f"chosen with {percent(p)}, {duration(ms)}" for _, p, ms in trace.thoughts]
    strip = engine.tokens([token for token, _, _ in trace.thoughts], notes)
    shades = tuple(p for _, p, _ in trace.thoughts)
    return Tokens("its own notes, as it wrote them", strip, shades, "probability")


def _chances(trace: ThinkingTrace) -> Bars:
    return Bars(
        f"P({trace.expected}) as the answer, after",
        tuple(outcome.kind for outcome in trace.outcomes if outcome.kind != EDITED),
        tuple(outcome.p for outcome in trace.outcomes if outcome.kind != EDITED),
        range=(0, 1),
    )


def _growing(trace: ThinkingTrace) -> Curve | None:
    if not trace.probes:
        return None
    x, y = zip(*dict(trace.probes).items(), strict=True)
    label = f"P({trace.expected})"
    return Curve(f"{label} if its notes ended here", (series(label, x, y),), "tokens of notes", label, y_range=(0, 1))


def _costs(engine: Engine, trace: ThinkingTrace) -> Table:
    per_token = engine.model.config.kv_bytes_per_token() / 1024
    rows = tuple((o.kind, o.answer, o.p, o.tokens, o.ms, o.tokens * per_token) for o in trace.outcomes)
    columns = ("", "it answers", "P(right)", "tokens more", "ms", "cache KiB")
    return Table("what it answers, and what that cost", columns, rows)


def _rates(trace: ThinkingTrace) -> Bars:
    """The share of right answers after each kind of notes."""
    trials = trace.rates[0].trials if trace.rates else 0
    return Bars(
        f"right answers to {plural(trials, 'sum')} of three numbers, after",
        tuple(rate.kind for rate in trace.rates),
        tuple(rate.right / rate.trials for rate in trace.rates),
        range=(0, 1),
    )


def _ranges(trace: ThinkingTrace) -> Table:
    rows = tuple(
        (rate.kind, f"{rate.right} of {rate.trials}", " to ".join(map(percent, rate.between)), rate.mean_p)
        for rate in trace.rates
    )
    return Table(
        "right answers, and where the true rate lies (95 %)", ("notes", "right", "rate", "mean P(right)"), rows
    )


def _caption(trace: ThinkingTrace) -> str:
    caption = f"P({trace.expected}): {percent(trace.outcomes[0].p)} without notes."
    if len(trace.outcomes) > 1:
        own = trace.of(OWN)
        caption += f" After its own, {percent(own.p)}: {plural(own.tokens, 'token')}, "
        caption += f"{duration(own.ms - trace.outcomes[0].ms)} more."
    return caption


def _measured(engine: Engine, trace: ThinkingTrace) -> dict[str, Any]:
    own, direct = trace.of(OWN), trace.outcomes[0]
    passes = Timing.of([ms for _, _, ms in trace.thoughts] or [0.0])
    notes = engine.tokenizer.decode([token for token, _, _ in trace.thoughts])
    edited, comes_to = trace.of(EDITED), conclusion(trace.edited)
    read = len(engine.tokenizer.encode(f"{ANSWER} {own.answer}"))
    trials = trace.rates or [Rate(kind, 0, 0, 0.0) for kind in KINDS]
    return {
        "expected": trace.expected,
        "answer_direct": direct.answer,
        "answer_after_thinking": own.answer,
        "answer_with_wrong_notes": edited.answer,
        "p_answer_direct": direct.p,
        "p_answer_after_thinking": own.p,
        "p_answer_with_good_notes": trace.of(CORRECT).p,
        "p_answer_with_wrong_notes": edited.p,
        "p_answer_with_filler": trace.of(FILLER).p,
        "good_notes_help": trace.of(CORRECT).p > max(direct.p, trace.of(FILLER).p, READ),
        "answer_follows_edit": edited.answer.strip(" .").casefold() == comes_to.casefold(),
        "edited_result": comes_to,
        "edited_false_steps": false_steps(trace.edited),
        "false_steps": false_steps(notes),
        "is_sum": trace.is_sum,
        "answer_was_noted": own.p > direct.p and trace.expected in re.findall(r"\w+", notes),
        "expected_is_its_own": trace.its_own,
        "tokens_computed": own.tokens + read,
        "tokens_shown": read if trace.hidden else own.tokens + read,
        "thinking_tokens": own.tokens,
        "extra_ms": own.ms - direct.ms,
        "ms_per_thinking_token": passes.median,
        "ms_per_thinking_token_spread": [passes.fastest, passes.slowest],
        "trials": trials[0].trials,
        **{name: rate.right for name, rate in zip(COUNTS, trials, strict=True)},
        "followed_the_mistake": sum(rate.followed for rate in trials),
    }
