"""Arrows of two numbers, then words as arrows of many: the same sums, and what they say about words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Table, Text
from llm_holes.engine.numbers import count, figure
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.typed import listed, two_arrows
from llm_holes.lessons.shared.words import Word, best, cosine, cosines, embedding_table, labels, word
from llm_holes.lessons.tier1.vectors.arrows import measured_arrows, on_a_plane, turned
from llm_holes.lessons.tier1.vectors.lean import leaning, seen_from_the_side
from llm_holes.lessons.tier1.vectors.one_number import changed, for_every_value, shuffled_cosine, zeroing_changes
from llm_holes.lessons.tier1.vectors.places import all_same_signs, place_by_place, random_pairs, same_signs

NEAREST = 20


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    a, typed = two_arrows(p["arrows"])
    b = turned(typed, p["turn"])
    names = [name for name in ("text", "text_b", "text_c") if p[name].strip() or name != "text_c"]
    words = [word(engine, p[name], name) for name in names]
    report = Report()
    report.measure(measured_arrows(a, b))
    report.show(arrows=on_a_plane(a, typed, p["turn"]))
    report.say(f"Two arrows, cosine {figure(cosine(a, b))}.")
    yield report.frame(0.2)

    table = embedding_table(engine)
    mean = table.mean(0)
    origin = mean if p["remove_mean"] else torch.zeros_like(mean)
    vectors = [w.vector - origin for w in words]
    pair = (words[0].text, words[1].text)
    edited, dimension = changed(vectors[0], p["dimension"], p["new_value"], p["scale"])
    report.measure(_of_the_pair(words, vectors, mean, edited) | random_pairs(table - origin, mean - origin))
    report.measure(leaning_share=leaning(table - origin, mean))
    report.show_also(
        lists=_lists(a, b, words, vectors),
        places=place_by_place(pair, vectors[0], vectors[1]),
        the_lean=seen_from_the_side(table, mean, origin, words),
        one_number=for_every_value(pair, vectors[0], vectors[1], edited, dimension),
    )
    report.say(f"{spelt(pair[0])} and {spelt(pair[1])}: {count(len(mean))} numbers each.")
    yield report.frame(0.6)

    found, nearest = _nearest(engine, table - origin, edited)
    report.measure(found)
    report.show_also(nearest=nearest, lengths_and_angles=_pairs(words, mean))
    yield report.frame()


def _of_the_pair(words: Sequence[Word], vectors: Sequence[Tensor], mean: Tensor, edited: Tensor) -> dict[str, Any]:
    a, b = vectors[0], vectors[1]
    similarity, shuffled = cosine(a, b), shuffled_cosine(a, b)
    return {
        "dimensions": len(a),
        "norm_a": float(a.norm()),
        "norm_b": float(b.norm()),
        "cosine": similarity,
        "cosine_raw": cosine(words[0].vector, words[1].vector),
        "cosine_mean_removed": cosine(words[0].vector - mean, words[1].vector - mean),
        "cosine_edited": cosine(edited, b),
        "cosine_with_itself": cosine(edited, a),
        "cosine_permuted": shuffled,
        "permuted_max_abs_diff": abs(shuffled - similarity),
        "largest_change_if_zeroed": zeroing_changes(a, b),
        "same_signs": same_signs(a, b),
        "coin_signs": len(a) // 2,
    }


def _lists(a: Tensor, b: Tensor, words: Sequence[Word], vectors: Sequence[Tensor]) -> Text:
    """The arrows' lists and the words', all numbers of them."""
    lines = [f"A = {listed(a)}   B = {listed(b)}"]
    for w, vector in zip(words, vectors, strict=True):
        lines += ["", f"{w.text} = {listed(vector)}"]
    return Text(f"lists of 2 and of {count(len(vectors[0]))} numbers", "\n".join(lines))


def _nearest(engine: Engine, table: Tensor, edited: Tensor) -> tuple[dict[str, Any], Table]:
    """The tokens nearest to the edited vector: by cosine, and by counting places with the same sign."""
    angles, places = cosines(table, edited), all_same_signs(table, edited)
    by_cosine, by_places = best(angles, NEAREST), best(places, NEAREST)
    case = "same" if by_cosine[0] == by_places[0] else "different"
    measured = {
        "nearest_case": case if edited.any() else "none",
        "nearest_token": engine.token_text(by_cosine[0]),
        "nearest_cosine": float(angles[by_cosine[0]]),
        "nearest_by_signs": engine.token_text(by_places[0]),
        "nearest_in_both": len({*by_cosine} & {*by_places}) if edited.any() else 0,
    }
    rows = tuple(
        (name, float(angles[i]), other, int(places[j]))
        for i, name, j, other in zip(
            by_cosine, labels(engine, by_cosine), by_places, labels(engine, by_places), strict=True
        )
    )
    columns = ("by cosine", "cosine", "by counting", "same signs")
    return measured, Table("nearest of all tokens to the edited vector", columns, rows)


def _pairs(words: Sequence[Word], mean: Tensor) -> Table:
    rows = []
    for i, a in enumerate(words):
        for b in words[i + 1 :]:
            raw, centred = cosine(a.vector, b.vector), cosine(a.vector - mean, b.vector - mean)
            rows.append((f"{a.text} · {b.text}", float(a.vector.norm()), float(b.vector.norm()), raw, centred))
    pieces = ", ".join(f"{w.text} {len(w.ids)}" for w in words)
    columns = ("pair", "length of the first", "of the second", "cosine", "cosine, mean removed")
    return Table(f"lengths and angles (tokens: {pieces})", columns, tuple(rows))
