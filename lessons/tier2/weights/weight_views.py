"""What a model's weights look like: the parameter tree, a window on one matrix, its histogram."""

from __future__ import annotations

import itertools

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Bars, Heatmap, Table, View
from llm_holes.engine.interpret.weight_map import COMPONENTS, totals, tree
from llm_holes.engine.numbers import figure
from llm_holes.engine.surgery.weights import WeightScaled, as_matrix

ROWS_SHOWN, COLUMNS_SHOWN = 16, 64
BARS_PER_SIDE = 8
REACH = 4
"""How many standard deviations the histogram shows to each side; what lies beyond falls into its ends."""


def short(name: str) -> str:
    return name.removeprefix("model.").removesuffix(".weight")


def value(engine: Engine, place: WeightScaled) -> float:
    return float(as_matrix(engine.model.weights[place.name])[place.row, place.column])


def parts_of(engine: Engine) -> tuple[View, ...]:
    """Bars by component, and the tree: each component with its kinds of matrix."""
    counts, kinds = totals(engine.model.weights), tree(engine.model.weights)
    everything = sum(counts.values())
    shares = tuple(100 * counts[name] / everything for name in COMPONENTS)
    rows: list[tuple[str, ...]] = []
    for name in COMPONENTS:
        rows.append((name, "", "", f"{counts[name]:,}"))
        own = [kind for kind in kinds if kind.component == name]
        for kind in own:
            branch = "└" if kind is own[-1] else "├"
            shape = " × ".join(map(str, kind.shape))
            rows.append((f"{branch} {short(kind.name)}", shape, f"× {kind.count}", f"{kind.parameters:,}"))
    table = Table(f"all {everything:,} weights", ("", "shape", "how many", "weights"), tuple(rows))
    return Bars("where the weights are", COMPONENTS, shares, unit="%", range=(0, 100)), table


def window(engine: Engine, place: WeightScaled) -> Heatmap:
    """The part of the matrix around one weight, the cursor on it."""
    w = as_matrix(engine.model.weights[place.name])
    top = max(0, min(place.row - ROWS_SHOWN // 2, w.shape[0] - ROWS_SHOWN))
    left = max(0, min(place.column - COLUMNS_SHOWN // 2, w.shape[1] - COLUMNS_SHOWN))
    part = w[top : top + ROWS_SHOWN, left : left + COLUMNS_SHOWN]
    return Heatmap(
        f"{short(place.name)} [{w.shape[0]} × {w.shape[1]}], rows {top}-{top + part.shape[0] - 1}, "
        f"columns {left}-{left + part.shape[1] - 1}",
        Array.of(part.numpy()),
        row_names=tuple(str(top + n) for n in range(part.shape[0])),
        column_names=tuple(str(left + n) for n in range(part.shape[1])),
        cursor=(place.row - top, place.column - left),
    )


def histogram(engine: Engine, name: str) -> Bars:
    """Percent of the matrix's weights by size, in its standard deviations."""
    w = engine.model.weights[name].flatten()
    width = float(w.std()) * REACH / BARS_PER_SIDE or 1.0
    last = 2 * BARS_PER_SIDE - 1
    places = (w / width).floor().long().add(BARS_PER_SIDE).clamp(0, last)
    share = torch.bincount(places, minlength=last + 1) / w.numel() * 100
    edges = [(n - BARS_PER_SIDE) * width for n in range(last + 2)]
    labels = [f"{figure(low)} … {figure(high)}" for low, high in itertools.pairwise(edges)]
    labels[0], labels[-1] = f"below {figure(edges[1])}", f"{figure(edges[-2])} and more"
    extremes = f"{figure(float(w.min()))} to {figure(float(w.max()))}"
    return Bars(f"histogram of {short(name)}, {extremes}", tuple(labels), tuple(share.tolist()), unit="%")
