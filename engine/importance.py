"""What the model loses without one of its parts, for every part in turn.

Up to the layer that is changed nothing differs, so that much is computed once; from there on the variants run together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.lens import rows_at_once, states
from llm_holes.engine.model import Decoder, rotary
from llm_holes.engine.surgery import edited
from llm_holes.engine.taps import tap

ROWS_TOGETHER = 128
"""Rows that share one reading of the weights, where there are several variants to choose from."""


@torch.no_grad()
def onward(model: Decoder, x: Tensor, layer: int, until: int | None = None) -> Tensor:
    """The stream [batch, pos, d_model] as it comes to layer `until`, or behind the last, from `x` as it comes to
    `layer`. Raises Cancelled."""

    def at(name: str, value: Tensor) -> Tensor:
        for edit in model.edits.get(name, ()):
            value = edit(value)
        return value

    rotation = rotary(model.config, 0, x.shape[1])
    for place in range(layer, model.config.n_layers if until is None else until):
        if model.stop():
            raise Cancelled
        x = model.block(place, x, rotation, None, at, ())
    return x


def without_each_layer(model: Decoder, ids: Sequence[int]) -> Iterator[list[float]]:
    """KL(intact ‖ without the layer), nats, mean over positions, of a few layers after the others: the layer adds
    nothing. A variant joins those of its group at the layer it leaves out, with the stream as it was."""
    stream = states(model, ids)
    intact = model.unembed(stream[-1]).log_softmax(-1)
    layers = range(model.config.n_layers)
    together = max(ROWS_TOGETHER // len(ids), 1)
    for group in (layers[n : n + together] for n in range(0, len(layers), together)):
        variants = stream[group[0]][None]
        for layer in group[1:]:
            variants = torch.cat((onward(model, variants, layer, layer + 1), stream[layer][None]))
        yield _kl(model, intact, onward(model, variants, group[-1] + 1))


def without_each_head(model: Decoder, ids: Sequence[int], layers: Sequence[int]) -> Iterator[list[float]]:
    """KL(intact ‖ without the head), nats, mean over positions, of all heads of one layer after the other."""
    stream = states(model, ids)
    intact = model.unembed(stream[-1]).log_softmax(-1)
    for layer in layers:
        variants = stream[layer].expand(model.config.n_heads, -1, -1)
        each = edited(model, tap(layer, "attn.hook_z"), _one_head_off_in_each)
        yield _kl(model, intact, onward(each, variants, layer))


def _one_head_off_in_each(z: Tensor) -> Tensor:
    """z [head, pos, head, d_head]: variant n is without head n."""
    own = torch.eye(len(z), dtype=torch.bool)[:, None, :, None]
    return z.masked_fill(own, 0)


@torch.no_grad()
def _kl(model: Decoder, intact: Tensor, stream: Tensor) -> list[float]:
    """KL of each variant's stream [variant, pos, d_model] from the intact log-probabilities [pos, vocabulary]."""
    p = intact.exp()
    found: list[float] = []
    for part in torch.split(stream, max(rows_at_once(model) // stream.shape[1], 1)):
        if model.stop():
            raise Cancelled
        changed = model.unembed(part).log_softmax(-1)
        found += (p * (intact - changed)).sum(-1).mean(-1).clamp(min=0).tolist()
    return found
