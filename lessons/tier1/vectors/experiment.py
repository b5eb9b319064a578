"""Two or three words as the numbers the model has for them: length, direction, and what changing one number does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Bars, Frame, Heatmap, Table
from llm_holes.engine.numbers import figure
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.words import Word, best, cosine, cosines, embedding_table, labels, word

RANDOM_PAIRS = 2000
NEIGHBOURS = 10
SEED = 0


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    names = [name for name in ("text", "text_b", "text_c") if p[name].strip() or name != "text_c"]
    words = [word(engine, p[name], name) for name in names]
    table = embedding_table(engine)
    mean = table.mean(0)
    origin = mean if p["remove_mean"] else torch.zeros_like(mean)
    vectors = [w.vector - origin for w in words]
    edited, dimension = changed(vectors[0], p["dimension"], p["new_value"], p["scale"])
    report, similarity = Report(), cosine(vectors[0], vectors[1])
    report.measure(
        dimensions=len(mean),
        norm_a=float(vectors[0].norm()),
        norm_b=float(vectors[1].norm()),
        cosine=similarity,
        cosine_raw=cosine(words[0].vector, words[1].vector),
        cosine_mean_removed=cosine(words[0].vector - mean, words[1].vector - mean),
        cosine_edited=cosine(edited, vectors[1]),
        cosine_permuted=shuffled_cosine(vectors[0], vectors[1]),
        largest_change_if_zeroed=zeroing_changes(vectors[0], vectors[1]),
        permuted_max_abs_diff=abs(shuffled_cosine(vectors[0], vectors[1]) - similarity),
    )
    report.say(
        f"{spelt(words[0].text)} and {spelt(words[1].text)}: {len(mean):,} numbers each, "
        f"lengths {figure(float(vectors[0].norm()))} and {figure(float(vectors[1].norm()))}."
    )
    strips = _strips(words, vectors, edited, dimension)
    report.show(the_numbers=strips)
    yield report.frame(0.3)

    near, found = _neighbourhood(engine, table - origin if p["remove_mean"] else table, edited)
    report.measure(found)
    report.show(
        the_numbers=strips,
        how_alike=_alike("how alike two arrows are", words, vectors, found["random_pair_cosine"]),
        the_mean_removed=_alike("the same with the average arrow removed", words, [w.vector - mean for w in words]),
        one_number_changed=_changes(report.measured, vectors[0], edited, dimension),
        nearest_tokens=near,
        lengths=_pairs(words, mean),
    )
    yield report.frame()


def _neighbourhood(engine: Engine, table: Tensor, edited: Tensor) -> tuple[Bars, dict[str, Any]]:
    """The tokens nearest to the edited vector, and how near two random tokens are."""
    found = cosines(table, edited)
    near = best(found, NEIGHBOURS)
    pairs = torch.randint(len(table), (2, RANDOM_PAIRS), generator=torch.Generator().manual_seed(SEED))
    random = torch.cosine_similarity(table[pairs[0]], table[pairs[1]])
    measured = {
        "nearest_token": engine.token_text(near[0]),
        "nearest_cosine": float(found[near[0]]),
        "random_pair_cosine": float(random.mean()),
        "random_pair_cosine_spread": float(random.std()),
    }
    title, values = "tokens nearest to the edited vector, by cosine", tuple(found[near].tolist())
    return Bars(title, labels(engine, near), values, range=(-1, 1)), measured


def changed(vector: Tensor, dimension: int, value: float, scale: float) -> tuple[Tensor, int | None]:
    """The vector times `scale`, with one number set to `value` unless `dimension` is -1; and which one it was."""
    edited = vector * scale
    if dimension < 0:
        return edited, None
    dimension = min(dimension, len(edited) - 1)
    edited[dimension] = value
    return edited, dimension


def shuffled_cosine(a: Tensor, b: Tensor) -> float:
    """The cosine after the numbers of both vectors are put in the same random order."""
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(SEED))
    return cosine(a[order], b[order])


def zeroing_changes(a: Tensor, b: Tensor) -> float:
    """How far the cosine moves if one number of `a` is set to zero, for the number that moves it most."""
    without = (a @ b - a * b) / ((a @ a - a * a).clamp_min(1e-24).sqrt() * b.norm()).clamp_min(1e-12)
    return float((without - cosine(a, b)).abs().max())


def _strips(words: Sequence[Word], vectors: Sequence[Tensor], edited: Tensor, dimension: int | None) -> Heatmap:
    rows = [*vectors, edited]
    return Heatmap(
        f"the vectors, {len(edited):,} numbers each",
        Array.of(torch.stack(rows).numpy()),
        row_label="word",
        column_label="dimension",
        row_names=(*(w.text for w in words), f"{words[0].text}, edited"),
        column_control="dimension",
        cursor=(len(words), dimension) if dimension is not None else None,
    )


def _alike(title: str, words: Sequence[Word], vectors: Sequence[Tensor], random: float | None = None) -> Bars:
    """The cosine of each pair of words, and that of two random tokens to compare it with."""
    pairs = [(i, j) for i in range(len(words)) for j in range(i + 1, len(words))]
    names = tuple(f"{words[i].text} · {words[j].text}" for i, j in pairs)
    values = tuple(cosine(vectors[i], vectors[j]) for i, j in pairs)
    more = () if random is None else (random,)
    return Bars(title, (*names, *("two random tokens",)[: len(more)]), (*values, *more), "cosine", range=(-1, 1))


def _pairs(words: Sequence[Word], mean: Tensor) -> Table:
    rows = []
    for i, a in enumerate(words):
        for b in words[i + 1 :]:
            raw, centred = cosine(a.vector, b.vector), cosine(a.vector - mean, b.vector - mean)
            rows.append((f"{a.text} · {b.text}", float(a.vector.norm()), float(b.vector.norm()), raw, centred))
    pieces = ", ".join(f"{w.text} {len(w.ids)}" for w in words)
    columns = ("pair", "length of the first", "of the second", "cosine", "cosine, mean removed")
    return Table(f"lengths and angles (tokens: {pieces})", columns, tuple(rows))


def _changes(measured: Mapping[str, Any], vector: Tensor, edited: Tensor, dimension: int | None) -> Table:
    """What the edit did to the first vector, beside the same two vectors with their numbers shuffled."""
    number = ("one number", "–", "–")
    if dimension is not None:
        number = (f"number {dimension}", figure(float(vector[dimension])), figure(float(edited[dimension])))
    rows = (
        number,
        ("length", figure(measured["norm_a"]), figure(float(edited.norm()))),
        ("cosine with the second word", figure(measured["cosine"]), figure(measured["cosine_edited"])),
        ("the same, dimensions shuffled", figure(measured["cosine"]), figure(measured["cosine_permuted"])),
    )
    return Table("what was changed", ("", "before", "after"), rows)
