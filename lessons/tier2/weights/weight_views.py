"""What a model's weights look like: one at work, all on a number line, a piece of a matrix, other models to scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Bars, Heatmap, NumberLine
from llm_holes.engine.interpret.weight_map import COMPONENTS, totals
from llm_holes.engine.numbers import count, figure, plural
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.weights import WeightScaled, as_matrix
from llm_holes.lessons.tier2.weights.at_work import AtWork

LARGEST_PRODUCTS, TOKENS = 5, 11
ROWS_SHOWN, COLUMNS_SHOWN = 16, 64
REACH, BINS = 1.0, 160
"""The number line shows weights from -REACH to REACH, counted in so many bins."""
FORMATS = {"32 bits": 32, "16 bits": 16, "8 bits": 8, "4 bits": 4}
DRAWN = 8
"""More bits than these have values too close to draw."""
WORST = 40
"""Where the axis of losses ends: room for a model that is sure and wrong."""
PUBLISHED_MODELS = {"Llama 3.1 8B": 8.03e9, "Llama 3.1 70B": 70.6e9, "Llama 3.1 405B": 405.9e9}
"""Weights of known models (Grattafiori et al. 2024 and their published files)."""


def short(name: str) -> str:
    return name.removeprefix("model.").removesuffix(".weight")


def value(engine: Engine, place: WeightScaled) -> float:
    return float(as_matrix(engine.model.weights[place.name])[place.row, place.column])


def products_added(work: AtWork, position: int, token: str, name: str) -> Bars:
    """The largest products of the weight's row, its own among them, the rest together, and the sum."""
    products, inputs = work.products(position), work.inputs[position]
    listed = list(
        dict.fromkeys([*products.abs().topk(min(LARGEST_PRODUCTS, len(products))).indices.tolist(), work.chosen])
    )
    labels = [f"{figure(float(inputs[n]))} × {figure(float(work.weights[n]))}" for n in listed]
    values = [float(products[n]) for n in listed]
    if others := len(products) - len(listed):
        labels.append(f"{count(others)} smaller products" if others > 1 else "1 smaller product")
        values.append(float(products.sum()) - sum(values))
    title = f"one number of {short(name)} at {spelt(token)}: number × weight, added up"
    return Bars(title, (*labels, "all added up"), (*values, float(products.sum())), marked=listed.index(work.chosen))


def firing(engine: Engine, ids: Sequence[int], work: AtWork, position: int) -> Bars:
    """What the weight is multiplied with at each token, from a few tokens before `position` on."""
    start = max(min(position - 2, len(ids) - TOKENS), 0)
    shown = range(start, min(start + TOKENS, len(ids)))
    labels = tuple(engine.token_text(ids[n]) for n in shown)
    own = figure(float(work.weights[work.chosen]))
    return Bars(
        f"the number that comes in at each token, to be multiplied with {own}",
        labels,
        tuple(float(work.fires[n]) for n in shown),
        marked=position - start,
    )


def rungs(bits: int) -> Tensor:
    """The values that a weight can have in so many bits, evenly from -REACH to REACH."""
    top = 2 ** (bits - 1) - 1
    return torch.linspace(-REACH, REACH, 2 * top + 1)


def nearest(bits: int, own: float) -> float:
    return own if bits > DRAWN else float(min(rungs(bits).tolist(), key=lambda rung: abs(rung - own)))


def all_weights(engine: Engine, own: float, bits: int) -> NumberLine:
    """All weights of the model on one line, one of them marked, and the values that so many bits leave of the line."""
    counts = torch.stack([torch.histc(w, BINS, -REACH, REACH) for w in engine.model.weights.values()]).sum(0)
    edges = torch.linspace(-REACH, REACH, BINS + 1)
    title, marked = f"all {plural(engine.info.parameters, 'weight')}", (("your weight", own),)
    if bits > DRAWN:
        return NumberLine(title, tuple(edges.tolist()), tuple(counts.tolist()), marked=marked)
    left = tuple(rungs(bits).tolist())
    title = f"{title}, and where {bits} bits let them stand"
    becomes = ("becomes", nearest(bits, own))
    return NumberLine(title, tuple(edges.tolist()), tuple(counts.tolist()), left, (*marked, becomes))


def losses(measured: Mapping[str, Any]) -> Bars:
    """How much the true next words surprise the model, as it is, damaged, shuffled, and one that knows nothing."""
    rows = {
        "as it is": measured["loss_intact"],
        "with your damage": measured["loss_changed"],
        "knowing nothing": measured["loss_knowing_nothing"],
        "all shuffled": measured["loss_shuffled"],
    }
    title = "how much the next word surprises it"
    return Bars(title, tuple(rows), tuple(rows.values()), unit="loss", marked=1, range=(0, WORST))


def next_tokens(engine: Engine, intact: Tensor, changed: Tensor) -> Bars:
    """The likeliest next tokens of both models, each with its chances in both; logits [d_vocab]."""
    chances = [logits.softmax(-1) for logits in (intact, changed)]
    best = [p.topk(4).indices.tolist() for p in chances]
    tokens = list(dict.fromkeys([*best[0][:2], *best[1][:2], *best[0]]))[:4]
    labels = tuple(f"{engine.token_text(token)} {when}" for token in tokens for when in ("before", "after"))
    values = tuple(float(p[token]) for token in tokens for p in chances)
    return Bars("the next token, before the damage and after it", labels, values, unit="P", range=(0, 1))


def to_scale(engine: Engine, bits: int) -> Bars:
    """How much room the weights of this model and of others take, in GB."""
    models = {"this model": float(engine.info.parameters), **PUBLISHED_MODELS}
    sizes = tuple(weights * bits / 8 / 1e9 for weights in models.values())
    return Bars(f"room for the weights, {bits} bits each", tuple(models), sizes, unit="GB", marked=0)


def parts(engine: Engine) -> Bars:
    counts = totals(engine.model.weights)
    everything = sum(counts.values())
    shares = tuple(100 * counts[name] / everything for name in COMPONENTS)
    return Bars("where the weights are", COMPONENTS, shares, unit="%", range=(0, 100))


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
