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
from llm_holes.lessons.shared.position_choice import window_start
from llm_holes.lessons.tier3.ffn.readable import readable_pushes

TOKENS, NEURONS = 16, 20
SHOWN, CONTEXTS, BEFORE = 10, 10, 7


def who_answers(
    engine: Engine, ids: Sequence[int], start: int, values: Tensor, lengths: Tensor, here: int, layer: int, neuron: int
) -> Heatmap:
    """The neurons that add most at each of the tokens around the one at `here`, and the chosen one, at all of these
    tokens. The first of `ids` [pos] is number `start` of the text. Shades are shares of a neuron's most in the picture.
    """
    first = window_start(here, len(ids), TOKENS)
    part = slice(first, first + TOKENS)
    shown = lengths[part]
    strongest = shown.topk(max(NEURONS // len(shown), 1)).indices.flatten().tolist()
    listed = list(dict.fromkeys([neuron, *strongest]))
    shares = (shown[:, listed] / shown[:, listed].amax(0).clamp_min(1e-12)).T
    names = tuple(spaced(engine.token_text(i)) for i in ids[part])
    details = tuple(
        f"neuron {n} at {name}: value {figure(value)}"
        for n in listed
        for name, value in zip(names, values[part, n].tolist(), strict=True)
    )
    return Heatmap(
        f"layer {layer}: who answers at which token",
        Array.of(shares.contiguous().numpy()),
        "neuron",
        "token",
        tuple(map(str, listed)),
        names,
        "share of its most",
        column_control="position",
        cursor=(0, here - first),
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
        (str(n), float(values[n]), float(lengths[n]), _list(up), _list(down[:2]))
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
    signed = torch.as_tensor(found) * (1.0 if value >= 0 else -1.0)
    rows = []
    for at in signed.topk(min(CONTEXTS, len(fixed))).indices.tolist():
        before = engine.tokenizer.decode(fixed[max(0, at - BEFORE) : at])
        rows.append((float(found[at]), f"…{before}", engine.token_text(fixed[at])))
    return Table(f"what excites neuron {neuron} of layer {layer} in a story", ("value", "after", "at"), tuple(rows))


def spread(lengths: Tensor, order: Tensor) -> Curve:
    shares = (lengths[order].cumsum(0) / lengths.sum().clamp_min(1e-12)).tolist()
    xs = sorted({*range(0, len(shares), max(len(shares) // 60, 1)), len(shares) - 1})
    line = series("this token", [x + 1 for x in xs], [shares[x] for x in xs])
    title = "how much the strongest neurons add together"
    return Curve(title, (line,), "neurons, strongest first", "share", y_range=(0, 1))
