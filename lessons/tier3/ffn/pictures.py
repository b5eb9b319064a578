"""Pictures of one layer's neurons: at which tokens they answer, what they write, what excites one, how many count."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Curve, Heatmap, Table, series
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import figure
from llm_holes.engine.spelling import spaced, spelt
from llm_holes.lessons.shared.passage import NAME
from llm_holes.lessons.shared.position_choice import window_start
from llm_holes.lessons.tier3.ffn.readable import readable_pushes

ROWS, COLUMNS = 16, 16
SHOWN, CONTEXTS, BEFORE = 10, 10, 7


def who_answers(
    engine: Engine, ids: Sequence[int], start: int, values: Tensor, lengths: Tensor, here: int, layer: int, neuron: int
) -> Heatmap:
    """Tokens [pos] around the one at `here`, the first of which is number `start` of the text, and the neurons that add
    most at each of them; shades are shares of the most that a neuron adds at any of them."""
    first = window_start(here, len(ids), ROWS)
    rows = slice(first, first + ROWS)
    shown, own = lengths[rows], here - first
    each = max(COLUMNS // len(shown), 1)
    strongest = shown.topk(min(each, shown.shape[1])).indices.flatten().tolist()
    listed = list(dict.fromkeys([neuron, *strongest]))[: COLUMNS + 1]
    shares = shown[:, listed] / shown[:, listed].amax(0).clamp_min(1e-12)
    names = tuple(spaced(engine.token_text(i)) for i in ids[rows])
    details = tuple(
        f"neuron {n} at {name}: value {figure(float(values[rows][row, n]))}"
        for row, name in enumerate(names)
        for n in listed
    )
    return Heatmap(
        f"layer {layer}: who answers at which token",
        Array.of(shares.numpy()),
        "token",
        "neuron",
        names,
        tuple(map(str, listed)),
        "share of its most",
        row_control="position",
        cursor=(own, 0),
        details=details,
        first=start + first,
        range=(0, 1),
    )


def firing(
    engine: Engine, layer: int, values: Tensor, lengths: Tensor, order: Tensor, token: str, neuron: int
) -> Table:
    """The strongest neurons, and the chosen one, with what they push the next token towards as their value is."""
    listed = list(dict.fromkeys([*order[:SHOWN].tolist(), neuron]))
    rows = tuple(
        (str(n), float(values[n]), float(lengths[n]), _list(up), _list(down))
        for n, (up, down) in zip(listed, readable_pushes(engine, layer, listed, values[listed]), strict=True)
    )
    title = f"layer {layer} at {spelt(token)}: the neurons that add most"
    columns = ("neuron", "value", "adds", "pushes towards", "away from")
    return Table(title, columns, rows, listed.index(neuron))


def _list(texts: Sequence[str]) -> str:
    return ", ".join(spaced(text).strip("·") or spaced(text) for text in texts)


def contexts(engine: Engine, fixed: Sequence[int], layer: int, neuron: int, value: Tensor) -> Table:
    """Where the neuron is most excited, in the direction it is here; the layers above are not run."""
    name = tap(layer, "mlp.hook_post")
    found = (
        engine.model.up_to(layer)
        .forward(torch.tensor([list(fixed)]), taps=[name], logits_to_keep=1)
        .acts[name][0, :, neuron]
    )
    signed = torch.from_numpy(found) * (1.0 if value >= 0 else -1.0)
    rows = []
    for at in signed.topk(min(CONTEXTS, len(fixed))).indices.tolist():
        before = engine.tokenizer.decode(fixed[max(0, at - BEFORE) : at])
        rows.append((float(found[at]), f"…{before}", engine.token_text(fixed[at])))
    return Table(f"what excites neuron {neuron} of layer {layer} in {NAME}", ("value", "after", "at"), tuple(rows))


def spread(lengths: Tensor, order: Tensor) -> Curve:
    shares = (lengths[order].cumsum(0) / lengths.sum().clamp_min(1e-12)).tolist()
    xs = sorted({*range(0, len(shares), max(len(shares) // 60, 1)), len(shares) - 1})
    line = series("this token", [x + 1 for x in xs], [shares[x] for x in xs])
    title = "how much the strongest neurons add together"
    return Curve(title, (line,), "neurons, strongest first", "share", y_range=(0, 1))
