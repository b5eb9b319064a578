"""Pictures of heads: what two lessons draw of attention patterns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from llm_holes.engine.frames import Array, Gallery, Heatmap, Table
from llm_holes.engine.interpret.head_types import HeadScores
from llm_holes.engine.numbers import percent

Patterns = npt.NDArray[np.float32]
"""Attention weights [head, query, key]."""

ORDER = ("induction", "previous token", "same token", "first token")
NONE = "none of these"
SMALL = 8


def head_name(layer: int, head: int) -> str:
    return f"L{layer}H{head}"


def shrunk(patterns: Patterns, side: int) -> Array:
    """The patterns with at most `side` cells a side, in percent; the largest weight of those that fall together."""
    count = min(patterns.shape[-1], side)
    edges = np.arange(count) * patterns.shape[-1] // count
    pooled = np.maximum.reduceat(np.maximum.reduceat(patterns, edges, axis=-2), edges, axis=-1)
    return Array.of(np.rint(pooled * 100), "u1")


def kind_of(found: HeadScores, layer: int, head: int) -> str:
    """The first of the types, rarest first, whose threshold the head reaches."""
    return next((kind for kind in ORDER if found.by_type[kind][layer, head] >= found.threshold), NONE)


def gallery_by_type(found: HeadScores, patterns: Patterns, chosen: tuple[int, int]) -> Gallery:
    """All heads, those of a type together, the clearest first; patterns [layer, head, query, key]."""
    layers, heads = patterns.shape[:2]

    def clearest(place: tuple[int, int]) -> tuple[int, float]:
        kind = kind_of(found, *place)
        if kind == NONE:
            return len(ORDER), -max(float(found.by_type[name][place]) for name in ORDER)
        return ORDER.index(kind), -float(found.by_type[kind][place])

    places = sorted(np.ndindex(layers, heads), key=clearest)
    rows, columns = (np.array(axis) for axis in zip(*places, strict=True))
    return Gallery(
        f"every head on the text, by measured type (at least {percent(found.threshold)} of its weight)",
        shrunk(patterns[rows, columns], SMALL),
        tuple(head_name(*place) for place in places),
        tuple(_scores(found, place) for place in places),
        tuple(kind_of(found, *place) for place in places),
        unit="% of a token's weight",
        controls=("layer", "head"),
        places=tuple(places),
        cursor=places.index(chosen),
    )


def _scores(found: HeadScores, place: tuple[int, int]) -> str:
    return ", ".join(f"{kind} {percent(float(found.by_type[kind][place]))}" for kind in ORDER)


def habits(pattern: Patterns) -> str:
    """What one head's weights [query, key] do on average from the second token on."""
    if len(pattern) < 2:
        return "one token, which can only look at itself"
    later = np.arange(1, len(pattern))
    looks_at = {
        "first token": pattern[later, 0],
        "token before": pattern[later, later - 1],
        "itself": pattern[later, later],
    }
    return ", ".join(f"{where} {percent(float(weights.mean()))}" for where, weights in looks_at.items())


def layer_gallery(layer: int, patterns: Patterns, chosen: int, notes: Sequence[str] = ()) -> Gallery:
    """The heads of one layer, [head, query, key]; `notes` add to what is said about each."""
    said = [habits(pattern) for pattern in patterns]
    if notes:
        said = [f"{note} · {habit}" for note, habit in zip(notes, said, strict=True)]
    return Gallery(
        f"the heads of layer {layer}: rows look at columns",
        shrunk(patterns, 16 if len(patterns) <= 16 else SMALL),
        tuple(head_name(layer, head) for head in range(len(patterns))),
        tuple(said),
        unit="% of a token's weight",
        controls=("head",),
        places=tuple((head,) for head in range(len(patterns))),
        cursor=chosen,
    )


def map_by_type(found: HeadScores, kind: str, chosen: tuple[int, int]) -> Heatmap:
    """All heads on one map, by how much they are of one type."""
    what = "weight on what followed last time" if kind == "induction" else f"mean weight on the {kind}"
    return Heatmap(
        f"all heads: {what}",
        Array.of(found.by_type[kind]),
        row_label="layer",
        column_label="head",
        unit="weight",
        row_control="layer",
        column_control="head",
        cursor=chosen,
    )


def table_of_types(found: HeadScores) -> Table:
    rows = []
    for kind, scores in found.by_type.items():
        order = np.argsort(scores, axis=None)[::-1][:4]
        best = ", ".join(
            f"{head_name(*divmod(int(i), scores.shape[1]))} {percent(float(scores.flat[i]))}" for i in order
        )
        rows.append((kind, int((scores >= found.threshold).sum()), best))
    return Table(
        f"heads by type (mean weight at least {percent(found.threshold)})", ("type", "heads", "strongest"), tuple(rows)
    )
