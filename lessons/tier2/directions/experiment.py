"""Arithmetic with words, scored with and without the inputs and against no arithmetic; then a direction put to use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Diff, Frame, Table
from llm_holes.engine.measure import kl_nats
from llm_holes.engine.numbers import exact, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.vectors import Steer
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.words import best
from llm_holes.lessons.tier2.directions.analogies import ANALOGIES
from llm_holes.lessons.tier2.directions.spaces import Space, ranked, space, states

SHOWN = 8
KL_TOKENS = 64
PLACES = ("I feel", "She was very", "They are so")


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    prompt = engine.encode(p["text"], p["max_new_tokens"])
    inputs, expected = [p[name].strip() for name in ("word_a", "word_b", "word_c")], p["expected"].strip()
    listed = [w for line in ANALOGIES for w in line]
    where = space(engine, p["space"], [*listed, *inputs, expected], p["layer"])
    report = Report()
    answers, nearest, ways = _analogy(where, inputs, expected, p["exclude"])
    report.measure(answers, candidates=len(where.vectors))
    report.show(nearest_words=nearest, three_ways=ways)
    first, second, wanted = (spelt(answers[name]) for name in ("top_with_inputs", "top_excluding_inputs", "expected"))
    report.say(
        f"{inputs[0]} - {inputs[1]} + {inputs[2]}: {first}, without the inputs {second}; {wanted} is number "
        f"{answers['rank_of_expected']:,}."
    )
    yield report.frame(0.2)

    found, view = _accuracy(where, p["space"])
    report.measure(found)
    report.show(nearest_words=nearest, right_answers=_shares(found), three_ways=ways, all_analogies=view)
    yield report.frame(0.4)

    steer = steering(engine, p["layer"], p["steer_to"], p["steer_from"], p["alpha"])
    steered = engine.operated([steer])
    before = engine.logits(prompt, 1)
    ids = passage_ids(engine, KL_TOKENS)
    kl = kl_nats(engine.logits(ids), steered.logits(ids))
    report.measure(alpha=p["alpha"], kl_nats=kl)
    yield report.frame(0.6)

    text = engine.write(prompt, p["max_new_tokens"])
    changed = steered.write(prompt, p["max_new_tokens"]) if p["alpha"] else text
    same = torch.equal(engine.logits(prompt, 1), before)
    report.measure(steered_text_differs=text != changed, undo_bit_identical=same)
    label = f"{exact(p['alpha'])} × ({p['steer_to']} - {p['steer_from']})"
    diff = Diff(f"what follows, with {label} added after layer {p['layer']}", text, changed, "as it is", "steered")
    report.show_also(steered_text=diff)
    yield report.frame()


def steering(engine: Engine, layer: int, towards: str, away: str, alpha: float) -> Steer:
    """The difference of the two words' states after `layer`, averaged over a few openings, as a step."""
    pairs = [states(engine, layer, place, (towards, away)) for place in PLACES]
    direction = torch.stack([pair[0] - pair[1] for pair in pairs]).mean(0)
    return Steer(layer, tuple(direction.tolist()), alpha)


def _analogy(where: Space, inputs: Sequence[str], expected: str, exclude: bool) -> tuple[dict[str, Any], Bars, Table]:
    a, b, c = (where.vector(text) for text in inputs)
    scores, plain = where.cosines(torch.stack((a - b + c, c)))
    used = {row for text in inputs for row in where.rows(text)}
    target = where.rows(expected)[0]
    ranks = {"with": ranked(scores, target), "excluding": ranked(scores, target, used)}
    shown = best(scores, SHOWN, used if exclude else ())
    near, near_rank = best(plain, 1, used)[0], ranked(plain, target, used)
    measured: dict[str, Any] = {
        "top_with_inputs": where.label(best(scores, 1)[0]),
        "top_excluding_inputs": where.label(best(scores, 1, used)[0]),
        "expected": where.label(target),
        "rank_of_expected": ranks["excluding" if exclude else "with"],
        "rank_with_inputs": ranks["with"],
        "rank_excluding_inputs": ranks["excluding"],
        "top_without_arithmetic": where.label(near),
        "rank_without_arithmetic": near_rank,
    }
    formula = f"{inputs[0]} - {inputs[1]} + {inputs[2]}"
    bars = Bars(
        f"nearest to {formula}{', inputs excluded' if exclude else ''}",
        tuple(map(where.label, shown)),
        tuple(scores[shown].tolist()),
        marked=shown.index(target) if target in shown else None,
        range=(-1, 1),
    )
    rows = (
        (f"{formula}, all candidates", measured["top_with_inputs"], ranks["with"]),
        (f"{formula}, inputs excluded", measured["top_excluding_inputs"], ranks["excluding"]),
        (
            f"no arithmetic: nearest to {inputs[2]}",
            measured["top_without_arithmetic"],
            measured["rank_without_arithmetic"],
        ),
    )
    return measured, bars, Table("three ways to answer", ("", "first", f"place of {expected}"), rows)


def _accuracy(where: Space, name: str) -> tuple[dict[str, Any], Table]:
    """How many of the fixed analogies come out right, each way; those with a word of several rows are left out."""
    lines = [line for line in ANALOGIES if all(len(where.rows(w)) == 1 for w in line)]
    rows, hits = [], torch.zeros(3)
    for (b, a, c, d), scores, plain in zip(lines, *_scores(where, lines), strict=True):
        used = {where.rows(w)[0] for w in (a, b, c)}
        target = where.rows(d)[0]
        first, excluded, near = best(scores, 1)[0], best(scores, 1, used)[0], best(plain, 1, used)[0]
        hits += torch.tensor([first == target, excluded == target, near == target]).float()
        labels = (where.label(first), where.label(excluded), where.label(near))
        rows.append((f"{a} - {b} + {c}", d, *labels, ranked(scores, target, used)))
    shares = (hits / max(len(lines), 1)).tolist()
    measured = {
        "analogies": len(lines),
        "analogy_accuracy_with_inputs": shares[0],
        "analogy_accuracy": shares[1],
        "analogy_accuracy_no_arithmetic": shares[2],
    }
    title = f"{plural(len(lines), 'analogy', 'analogies')} in the {name}: right {', '.join(map(percent, shares))}"
    columns = ("", "expected", "with inputs", "inputs excluded", "no arithmetic", "place, inputs excluded")
    return measured, Table(title, columns, tuple(rows))


def _shares(found: Mapping[str, Any]) -> Bars:
    """The three ways to answer, side by side."""
    names = ("any word may answer", "inputs left out", "no arithmetic")
    keys = ("analogy_accuracy_with_inputs", "analogy_accuracy", "analogy_accuracy_no_arithmetic")
    title = f"right answers to {plural(found['analogies'], 'analogy', 'analogies')}"
    return Bars(title, names, tuple(found[key] for key in keys), range=(0, 1))


def _scores(where: Space, lines: Sequence[tuple[str, str, str, str]]) -> tuple[Tensor, Tensor]:
    """Cosines [lines, candidates] with a - b + c and with c alone."""
    if not lines:
        return torch.empty(0), torch.empty(0)
    triples = [(where.vector(a), where.vector(b), where.vector(c)) for b, a, c, _ in lines]
    moved, plain = torch.stack([a - b + c for a, b, c in triples]), torch.stack([c for _, _, c in triples])
    return where.cosines(moved), where.cosines(plain)
