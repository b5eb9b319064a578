"""Word arithmetic in court: one question, then a list of them, each answered with and without the idea."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from llm_holes.engine.frames import Bars, Scalar, Table
from llm_holes.engine.numbers import plural
from llm_holes.lessons.shared.words import best
from llm_holes.lessons.tier2.directions.analogies import RELATIONS, Line
from llm_holes.lessons.tier2.directions.question import Question
from llm_holes.lessons.tier2.directions.spaces import Space, ranked

SHOWN = 10


def answered(where: Space, asked: Question, exclude: bool) -> tuple[dict[str, Any], Bars]:
    """The words nearest to where the arithmetic leads; with `exclude`, no spelling of an input may answer."""
    a, b, c = (where.vector(text) for text in asked.inputs)
    led_to = a - b + c
    scores, plain = where.cosines(torch.stack((led_to, c)))
    used = {found for text in asked.inputs for found in where.own(text)}
    target = where.spellings(asked.expected)[0]
    ranks = {"with": ranked(scores, target), "excluding": ranked(scores, target, used)}
    shown = best(scores, SHOWN, used if exclude else ())
    near = best(plain, 1, used)[0]
    measured: dict[str, Any] = {
        "top_with_inputs": where.label(best(scores, 1)[0], led_to),
        "top_excluding_inputs": where.label(best(scores, 1, used)[0], led_to),
        "expected": where.label(target, where.vector(asked.expected)),
        "expected_is_input": target in used,
        "it_works": target not in used and ranks["excluding" if exclude else "with"] == 1,
        "rank_of_expected": ranks["excluding" if exclude else "with"],
        "rank_with_inputs": ranks["with"],
        "rank_excluding_inputs": ranks["excluding"],
        "top_without_arithmetic": where.label(near, c),
        "rank_without_arithmetic": ranked(plain, target, used),
    }
    bars = Bars(
        f"nearest to {asked.formula}{', inputs left out' if exclude else ''}",
        tuple(where.label(n, led_to) for n in shown),
        tuple(scores[shown].tolist()),
        "cosine",
        marked=shown.index(target) if target in shown else None,
        range=(-0.1, 1.0),
    )
    return measured, bars


@dataclass(frozen=True)
class Verdict:
    """One analogy, answered in three ways: by arithmetic among all words, by arithmetic with the inputs left out, by no
    arithmetic with the inputs left out. `place` is that of the expected word in the second."""

    relation: str
    line: Line
    right: tuple[bool, bool, bool]
    answers: tuple[str, str, str]
    place: int


def tried(where: Space) -> list[Verdict]:
    """All listed analogies; those with a word of several rows are left out."""
    lines = [(relation, line) for relation, some in RELATIONS.items() for line in some]
    return [_verdict(where, *line) for line in lines if all(len(where.rows(w)) == 1 for w in line[1])]


def _verdict(where: Space, relation: str, line: Line) -> Verdict:
    b, a, c, d = line
    start = where.vector(c)
    led_to = where.vector(a) - where.vector(b) + start
    scores, near = where.cosines(torch.stack((led_to, start)))
    used = {one for w in (a, b, c) for one in where.own(w)}
    target = where.spellings(d)[0]
    first, second, control = best(scores, 1)[0], best(scores, 1, used)[0], best(near, 1, used)[0]
    answers = (where.label(first, led_to), where.label(second, led_to), where.label(control, start))
    right = (first == target, second == target, control == target)
    return Verdict(relation, line, right, answers, ranked(scores, target, used))


def accuracies(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    first, second, control = (_share(one.right[way] for one in verdicts) for way in range(3))
    opposites = [one.right[1] for one in verdicts if one.relation == "opposites"]
    return {
        "analogies": len(verdicts),
        "analogy_accuracy_with_inputs": first,
        "analogy_accuracy": second,
        "analogy_accuracy_no_arithmetic": control,
        "opposites_fail": bool(opposites) and not any(opposites),
    }


def share_bars(verdicts: Sequence[Verdict], found: Mapping[str, Any]) -> Bars:
    """The three ways to answer, side by side; then, for arithmetic with the inputs left out, each relation."""
    shares = {
        "arithmetic, inputs left out": found["analogy_accuracy"],
        "arithmetic, any word": found["analogy_accuracy_with_inputs"],
        "no arithmetic": found["analogy_accuracy_no_arithmetic"],
    }
    for relation in RELATIONS:
        own = [one.right[1] for one in verdicts if one.relation == relation]
        if own:
            shares[f"· {sum(own)} of {len(own)} {relation}"] = _share(own)
    title = f"right answers to {plural(found['analogies'], 'analogy', 'analogies')}"
    return Bars(title, tuple(shares), tuple(shares.values()), marked=0, range=(0, 1))


def all_of_them(verdicts: Sequence[Verdict], name: str) -> Table:
    rows: list[tuple[Scalar, ...]] = []
    for one in verdicts:
        b, a, c, d = one.line
        rows.append((f"{a} - {b} + {c}", d, *one.answers, one.place))
    columns = ("", "expected", "any word", "inputs left out", "no arithmetic", "place, inputs left out")
    return Table(f"{plural(len(verdicts), 'analogy', 'analogies')} in the {name}", columns, tuple(rows))


def _share(right: Iterable[bool]) -> float:
    found = list(right)
    return sum(found) / max(len(found), 1)
