"""Word arithmetic in court: one question, then a list of them, each answered with and without the idea."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.frames import Bars, Scalar, Table
from llm_holes.engine.numbers import percent, plural
from llm_holes.lessons.shared.words import best
from llm_holes.lessons.tier2.directions.analogies import ANALOGIES
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


def accuracies(where: Space, name: str) -> tuple[dict[str, Any], Table]:
    """How many of the fixed analogies come out right, each way; those with a word of several rows are left out."""
    lines = [line for line in ANALOGIES if all(len(where.rows(w)) == 1 for w in line)]
    moved, plain = _queries(where, lines)
    rows: list[tuple[Scalar, ...]] = []
    hits = torch.zeros(3)
    for line, led_to, start in zip(lines, moved, plain, strict=True):
        b, a, c, d = line
        scores, near = where.cosines(torch.stack((led_to, start)))
        used = {one for w in (a, b, c) for one in where.own(w)}
        target = where.spellings(d)[0]
        found = best(scores, 1)[0], best(scores, 1, used)[0], best(near, 1, used)[0]
        hits += torch.tensor([one == target for one in found]).float()
        labels = [where.label(one, query) for one, query in zip(found, (led_to, led_to, start), strict=True)]
        rows.append((f"{a} - {b} + {c}", d, *labels, ranked(scores, target, used)))
    shares = (hits / max(len(lines), 1)).tolist()
    measured = {
        "analogies": len(lines),
        "analogy_accuracy_with_inputs": shares[0],
        "analogy_accuracy": shares[1],
        "analogy_accuracy_no_arithmetic": shares[2],
    }
    title = f"{plural(len(lines), 'analogy', 'analogies')} in the {name}: right {', '.join(map(percent, shares))}"
    columns = ("", "expected", "with inputs", "inputs left out", "no arithmetic", "place, inputs left out")
    return measured, Table(title, columns, tuple(rows))


def share_bars(found: Mapping[str, Any]) -> Bars:
    """The three ways to answer, side by side."""
    names = ("arithmetic, inputs left out", "arithmetic, any word", "no arithmetic, inputs left out")
    keys = ("analogy_accuracy", "analogy_accuracy_with_inputs", "analogy_accuracy_no_arithmetic")
    title = f"right answers to {plural(found['analogies'], 'analogy', 'analogies')}"
    return Bars(title, names, tuple(found[key] for key in keys), range=(0, 1))


def _queries(where: Space, lines: Sequence[tuple[str, str, str, str]]) -> tuple[list[Tensor], list[Tensor]]:
    """Where the arithmetic leads, and where it starts, for each line."""
    triples = [(where.vector(a), where.vector(b), where.vector(c)) for b, a, c, _ in lines]
    return [a - b + c for a, b, c in triples], [c for _, _, c in triples]
