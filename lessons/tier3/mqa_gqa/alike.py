"""How alike the heads of a layer look: within a group that shares its keys, and across groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Heatmap
from llm_holes.engine.interpret.head_types import Scores, patterns
from llm_holes.engine.numbers import figure, plural

FIRST = 2
"""The first query that is compared: those before have one place to look at, besides the first token."""

Cosines = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Likeness:
    """Cosines [head, head] of one layer's patterns; their mean within groups and across; and both over all layers. NaN
    where there are no such pairs."""

    cosines: Cosines
    inside: float
    across: float
    inside_all: float
    across_all: float

    @property
    def gap(self) -> float:
        """By how much those of a group are more alike; 0 where there are no two kinds of pairs to compare."""
        return self.inside - self.across if np.isfinite(self.inside - self.across) else 0.0


def likeness(engine: Engine, ids: Sequence[int], layer: int) -> Likeness:
    config = engine.model.config
    found = np.stack([_cosines(pattern) for pattern in patterns(engine.model, ids)])
    group = np.arange(config.n_heads) // config.kv_group
    across = group[:, None] != group[None]
    inside = ~across & ~np.eye(config.n_heads, dtype=bool)
    here = found[layer]
    means = _mean(here[inside]), _mean(here[across]), _mean(found[:, inside]), _mean(found[:, across])
    return Likeness(here, *means)


def _cosines(pattern: Scores) -> Cosines:
    """Of the weights [head, query, key] of each two heads, without those on the first token, where most heads rest."""
    looks = pattern[:, FIRST:, 1:].reshape(len(pattern), -1)
    norms = np.linalg.norm(looks, axis=1, keepdims=True)
    looks = looks / np.maximum(norms, 1e-12)
    cosines: Cosines = looks @ looks.T
    return cosines


def _mean(values: Cosines) -> float:
    return float(values.mean()) if values.size else float("nan")


def map_of(found: Likeness, layer: int, kv_group: int) -> Heatmap:
    heads = range(len(found.cosines))
    names = tuple(f"Q{n}" for n in heads)
    details = tuple(
        f"Q{a} reads KV{a // kv_group}, Q{b} reads KV{b // kv_group}: cosine {figure(float(found.cosines[a, b]))}"
        for a in heads
        for b in heads
    )
    return Heatmap(
        f"layer {layer}: how alike two heads look; {plural(kv_group, 'head')} in turn for each KV",
        Array.of(found.cosines),
        row_label="head",
        column_label="head",
        row_names=tuple(f"{name} KV{n // kv_group}" for n, name in enumerate(names)),
        column_names=names,
        unit="likeness",
        details=details,
        range=(0, 1),
    )
