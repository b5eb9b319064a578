"""Pictures of one word on its way through the layers of two texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Curve, Heatmap, Scatter, Tokens, series
from llm_holes.engine.numbers import figure

CHANNELS = 48
CAP = 4.0
EVERY = 3


@dataclass(frozen=True)
class Place:
    """A word in a text: the text's ids, the states [state, pos, d_model] of its last positions, and the word's own
    [state, d_model]."""

    ids: list[int]
    stream: Tensor
    position: int
    own: Tensor


def cosine_curve(raw: Sequence[float], rest: Sequence[float], off: int) -> Curve:
    xs = range(len(raw))
    lines = [series("all channels", xs, raw)]
    if off:
        lines.append(series(f"without the {off} largest", xs, rest))
    return Curve("cosine between the two", tuple(lines), "layers passed", "cosine", y_range=(-1, 1))


def norm_curve(first: Place, word: str) -> Curve:
    norms = first.stream.norm(dim=-1)
    xs = range(len(norms))
    lines = [series(word.strip(), xs, first.own.norm(dim=-1).tolist())]
    lines.append(series("median of the text", xs, norms.median(-1).values.tolist()))
    if first.stream.shape[1] == len(first.ids):
        lines.append(series("first token", xs, norms[:, 0].tolist()))
    return Curve("length of the vectors", tuple(lines), "layers passed", "length", log_y=True)


def both_paths(first: Place, second: Place) -> Scatter:
    """Both paths on the plane of their two widest directions; every vector at length 1, or the last would drown all."""
    unit = torch.nn.functional.normalize(torch.cat((first.own, second.own)), dim=-1)
    centered = unit - unit.mean(0)
    plane = torch.linalg.svd(centered, full_matrices=False).Vh[:2]
    points = centered @ plane.T
    count = len(first.own)
    shown = [n for n in range(count) if n % EVERY == 0]
    rows = torch.tensor(shown + [count + n for n in shown])
    x, y = (tuple(points[rows, axis].tolist()) for axis in range(2))
    groups = ("in the first text",) * len(shown) + ("in the second",) * len(shown)
    names = tuple(f"{n}{side}" for side in "ab" for n in shown)
    return Scatter("the way through the layers (layers passed)", names, x, y, groups)


def likeness(engine: Engine, first: Place, second: Place, layer: int) -> Tokens:
    """The second text, each token shaded by its cosine with the first text's word after `layer`."""
    cosines = torch.cosine_similarity(second.stream[layer + 1], first.own[layer + 1][None], dim=-1, eps=1e-12)
    ids = second.ids[-len(cosines) :]
    title = f"after layer {layer}: which token of the second text is most like the first text's"
    return Tokens(title, engine.tokens(ids), tuple(cosines.clamp(0, 1).tolist()), "cosine")


def channel_map(own: Tensor) -> Heatmap:
    """The channels with the most to say, each state in units of its own typical size."""
    scaled = own / (own.norm(dim=-1, keepdim=True) / math.sqrt(own.shape[-1])).clamp_min(1e-12)
    most = scaled.abs().mean(0).argsort(descending=True)[:CHANNELS]
    return Heatmap(
        f"the state itself: its {len(most)} strongest channels (in typical sizes, capped at {figure(CAP)})",
        Array.of(scaled[:, most].clamp(-CAP, CAP).numpy()),
        row_label="layers passed",
        column_label="channel",
        column_names=tuple(str(int(n)) for n in most),
    )
