"""Are the steps of one relation parallel? Their arrows on a plane, and their cosines beside controls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Arrow, Bars, Plane
from llm_holes.engine.numbers import percent, plural
from llm_holes.lessons.shared.words import embedding_table, word
from llm_holes.lessons.tier2.directions.analogies import ANALOGIES, PAIRS, RELATIONS

ALL, FITTING, WRONG = "all", "without the odd one", "wrong partners"
RANDOM = 400

Pair = tuple[str, str]


def steps(engine: Engine, pairs: Sequence[Pair]) -> Tensor:
    """The step [pair, d_model] from the first word of each pair to the second, in the embedding table."""
    return torch.stack([word(engine, b, "a word").vector - word(engine, a, "a word").vector for a, b in pairs])


def cosines_among(found: Tensor) -> Tensor:
    """The mean cosine [step] of each step [step, d_model] with the others."""
    unit = torch.nn.functional.normalize(found, dim=1)
    return ((unit @ unit.T).sum(1) - 1) / (len(found) - 1)


def exchanged(pairs: Sequence[Pair]) -> list[Pair]:
    """The same words, each first one with the next one's partner."""
    return [(a, pairs[(n + 1) % len(pairs)][1]) for n, (a, _) in enumerate(pairs)]


def chosen(engine: Engine, relation: str, which: str) -> tuple[list[Pair], Pair]:
    """The pairs to draw, and of all the right ones the one that fits the others least."""
    pairs = list(PAIRS[relation])
    odd = pairs[int(cosines_among(steps(engine, pairs)).argmin())]
    drawn = exchanged(pairs) if which == WRONG else [pair for pair in pairs if pair != odd or which != FITTING]
    return drawn, odd


def parallel_facts(engine: Engine, relation: str, which: str) -> dict[str, Any]:
    pairs = PAIRS[relation]
    drawn, odd = chosen(engine, relation, which)
    each = cosines_among(steps(engine, pairs))
    listed, shuffled, chance = listed_cosines(engine)
    return {
        "relation_cosine": float(each.mean()),
        "drawn_cosine": float(cosines_among(steps(engine, drawn)).mean()),
        "wrong_partners_cosine": float(cosines_among(steps(engine, exchanged(pairs))).mean()),
        "odd_pair": " → ".join(odd),
        "odd_pair_cosine": float(each.min()),
        "offset_cosine_mean": listed,
        "offset_cosine_shuffled": shuffled,
        "offset_cosine_random": chance,
    }


def listed_cosines(engine: Engine) -> tuple[float, float, float]:
    """The mean cosine of the two steps of each listed analogy; of two steps of different relations; and of two steps
    between words drawn at random."""
    lines = list(RELATIONS.values())
    first = [steps(engine, [(a, b) for a, b, _, _ in some]) for some in lines]
    second = [steps(engine, [(c, d) for _, _, c, d in some]) for some in lines]
    same = _cosine(torch.cat(first), torch.cat(second))
    other = [_cosine(a[:, None], b[None]).flatten() for a, b in _different(first, second)]
    table = embedding_table(engine)
    seed = torch.Generator().manual_seed(0)
    a, b, c, d = table[torch.randint(len(table), (4, RANDOM), generator=seed)]
    return float(same.mean()), float(torch.cat(other).mean()), float(_cosine(b - a, d - c).mean())


def _different(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return [(first[i], second[j]) for i, j in permutations(range(len(first)), 2)]


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return torch.cosine_similarity(a, b, dim=-1, eps=1e-12)


def parallelogram(engine: Engine, relation: str, which: str) -> Plane:
    """Each pair as an arrow, on the plane of the two directions in which all words of the relation differ most, turned
    so that the arrows lead to the right. The plane is the same whatever is drawn on it."""
    pairs = PAIRS[relation]
    words = [text for pair in pairs for text in pair]
    vectors = torch.stack([word(engine, text, "a word").vector for text in words])
    centred = vectors - vectors.mean(0)
    _, strengths, directions = torch.linalg.svd(centred, full_matrices=False)
    points = (centred @ directions[:2].T).view(-1, 2, 2)
    way = (points[:, 1] - points[:, 0]).mean(0)
    if way[0].abs() < way[1].abs():
        points, way = points.flip(-1), way.flip(-1)
    points = points * torch.where(way < 0, -1.0, 1.0)
    at = dict(zip(words, points.view(-1, 2).tolist(), strict=True))
    arrows = tuple(
        Arrow(b, at[b][0], at[b][1], at[a][0], at[a][1], tail=a) for a, b in chosen(engine, relation, which)[0]
    )
    share = float(strengths[:2].square().sum() / strengths.square().sum())
    return Plane(f"{relation}, on a plane that keeps {percent(share)} of their differences", arrows)


def parallel_bars(engine: Engine, relation: str, facts: dict[str, Any]) -> Bars:
    """How parallel the steps of each relation are, the listed analogies' steps, and three controls."""
    rows = {name: float(cosines_among(steps(engine, pairs)).mean()) for name, pairs in PAIRS.items()}
    marked = list(rows).index(relation)
    rows[plural(len(ANALOGIES), "listed analogy", "listed analogies")] = facts["offset_cosine_mean"]
    rows[f"{relation}, wrong partners"] = facts["wrong_partners_cosine"]
    rows["two unlike relations"] = facts["offset_cosine_shuffled"]
    rows["words drawn at random"] = facts["offset_cosine_random"]
    title = "how parallel two steps are, on average"
    return Bars(
        title, tuple(rows), tuple(round(value, 2) + 0.0 for value in rows.values()), "cosine", marked, range=(-0.1, 1.0)
    )
