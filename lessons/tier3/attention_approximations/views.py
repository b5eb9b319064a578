"""The pictures of attention replaced: surprise, error, chosen pairs and time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.frames import Bars, Curve, Series, series
from llm_holes.engine.model.decoder import AttentionFn
from llm_holes.engine.numbers import plural
from llm_holes.lessons.tier3.attention_approximations.trials import Heads, Times, relative_error

SMOOTH = 8


def surprise(lines: Mapping[str, Tensor], targets: Tensor) -> Curve:
    """The surprise at each next token, in nats, averaged over a few tokens; one line for each of the logits."""
    x = range(1, len(targets))
    drawn = tuple(series(name, x, _smooth(logits, targets)) for name, logits in lines.items())
    title = f"surprise while reading (mean of {plural(SMOOTH, 'token')})"
    return Curve(title, drawn, x_label="token", y_label="surprise in nats", y_range=(0, 8))


def _smooth(logits: Tensor, targets: Tensor) -> list[float]:
    losses = F.cross_entropy(logits[:-1], targets[1:], reduction="none")
    return [float(losses[max(0, i - SMOOTH + 1) : i + 1].mean()) for i in range(len(losses))]


def pairs(measured: Mapping[str, Any], d_vocab: int) -> Bars:
    """The mean surprise where each query sees as many keys, chosen in different ways, between knowing all and
    nothing."""
    rows = (
        ("exact, all keys", measured["loss_exact"]),
        ("the best keys", measured["loss_best_pairs"]),
        ("keys by hashing", measured["loss_hashing"]),
        ("keys by lot", measured["loss_random_pairs"]),
        ("knowing nothing", math.log(d_vocab)),
    )
    labels, values = tuple(label for label, _ in rows), tuple(float(value) for _, value in rows)
    return Bars("mean surprise at the next word", labels, values, "nats", marked=2)


def by_layer(layers: Sequence[int], heads: Sequence[Heads], attention_fn: AttentionFn) -> Curve:
    errors = [relative_error(attention_fn, [one]) for one in heads]
    return Curve("error by layer", (series("error", layers, errors),), x_label="layer", y_label="error")


def by_head(heads: Heads, attention_fn: AttentionFn) -> Bars:
    q, k, v = heads
    group = q.shape[1] // k.shape[1]
    errors = [
        relative_error(attention_fn, [(q[:, n, None], k[:, n // group, None], v[:, n // group, None])])
        for n in range(q.shape[1])
    ]
    return Bars("error by head", tuple(f"head {n}" for n in range(len(errors))), tuple(errors))


def time_curve(times: Times) -> Curve:
    lines = tuple(
        Series(
            name,
            tuple(map(float, times.tokens)),
            *(tuple(getattr(t, part) for t in found) for part in ("fastest", "fastest", "slowest")),
        )
        for name, found in (("this method", times.approximate), ("exact", times.exact))
    )
    return Curve("time of one layer's attention, fastest to slowest", lines, x_label="tokens", y_label="ms")
