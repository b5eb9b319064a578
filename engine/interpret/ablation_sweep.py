"""What the model loses without one of its parts, for every part in turn.

Up to the layer that is changed nothing differs, so that much is computed once; from there on the variants run together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.interpret.logit_lens import rows_at_once, states
from llm_holes.engine.model.decoder import Decoder, rotary
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import edited

ROWS_TOGETHER = 128
"""Vectors that share one reading of the weights: few enough to show progress, enough for a quick matrix product."""


@torch.no_grad()
def onward(model: Decoder, x: Tensor, layer: int, until: int | None = None) -> Tensor:
    """The stream [batch, pos, d_model] as it comes to layer `until`, or behind the last, from `x` as it comes to
    `layer`. Raises Cancelled."""

    def at(name: str, value: Tensor) -> Tensor:
        for edit in model.edits.get(name, ()):
            value = edit(value)
        return value

    if not len(x):
        return x
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
    for group in _groups(range(model.config.n_layers), len(ids)):
        variants, below = stream[:0], group[0]
        for layer in group:
            variants = torch.cat((onward(model, variants, below, layer + 1), stream[layer][None]))
            below = layer + 1
        yield _kl(model, intact, onward(model, variants, below))


def without_each_head(model: Decoder, ids: Sequence[int], layers: Sequence[int]) -> Iterator[list[list[float]]]:
    """KL(intact ‖ without the head), nats, mean over positions: of all heads of a few of the `layers`, given in order,
    after the others, [layer][head]. The variants of a layer join those of its group there."""
    heads = model.config.n_heads
    stream = states(model, ids)
    intact = model.unembed(stream[-1]).log_softmax(-1)
    for group in _groups(layers, heads * len(ids)):
        variants, below = stream[:0], group[0]
        for layer in group:
            each = edited(model, tap(layer, "attn.hook_z"), _one_head_off_in_each)
            new = onward(each, stream[layer].expand(heads, -1, -1), layer, layer + 1)
            variants = torch.cat((onward(model, variants, below, layer + 1), new))
            below = layer + 1
        found = _kl(model, intact, onward(model, variants, below))
        yield [found[n : n + heads] for n in range(0, len(found), heads)]


def _groups(layers: Sequence[int], rows: int) -> list[Sequence[int]]:
    """The layers in stretches whose variants, of so many rows each, go together."""
    size = max(ROWS_TOGETHER // rows, 1)
    return [layers[n : n + size] for n in range(0, len(layers), size)]


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
