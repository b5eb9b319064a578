"""What the model loses without one of its parts, for every part in turn.

Up to the layer that is changed nothing differs, so that much is computed once; from there on the variants run together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.interpret.logit_lens import residual_stream, rows_at_once
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import hooked

ROWS_TOGETHER = 128
"""Vectors that share one reading of the weights: few enough to show progress, enough for a quick matrix product."""


def without_each_layer(model: Decoder, ids: Sequence[int]) -> Iterator[list[float]]:
    """KL(intact ‖ without the layer), nats, mean over positions, of a few layers after the others: the layer adds
    nothing. A variant joins those of its group at the layer it leaves out, with the stream as it was."""
    stream = residual_stream(model, ids)
    intact = model.unembed(stream[-1]).log_softmax(-1)
    for group in _groups(range(model.config.n_layers), len(ids)):
        variants = stream[group[0]][None]
        for below, layer in pairwise(group):
            variants = torch.cat((model.run_layers(variants, below + 1, layer + 1), stream[layer][None]))
        yield _kl(model, intact, model.run_layers(variants, group[-1] + 1))


def without_each_head(model: Decoder, ids: Sequence[int], layers: Sequence[int]) -> Iterator[list[list[float]]]:
    """KL(intact ‖ without the head), nats, mean over positions: of all heads of a few of the `layers`, given in order,
    after the others, [layer][head]. The variants of a layer join those of its group there."""
    heads = model.config.n_heads
    stream = residual_stream(model, ids)
    intact = model.unembed(stream[-1]).log_softmax(-1)
    for group in _groups(layers, heads * len(ids)):
        variants = _without_heads(model, stream[group[0]], group[0])
        for below, layer in pairwise(group):
            new = _without_heads(model, stream[layer], layer)
            variants = torch.cat((model.run_layers(variants, below + 1, layer + 1), new))
        found = _kl(model, intact, model.run_layers(variants, group[-1] + 1))
        yield [found[n : n + heads] for n in range(0, len(found), heads)]


def _groups(layers: Sequence[int], rows: int) -> list[Sequence[int]]:
    """The layers in stretches whose variants, of this many rows each, go together."""
    size = max(ROWS_TOGETHER // rows, 1)
    return [layers[n : n + size] for n in range(0, len(layers), size)]


def _without_heads(model: Decoder, x: Tensor, layer: int) -> Tensor:
    """The stream x [pos, d_model] after `layer`, once without each of its heads: [head, pos, d_model]."""
    each = hooked(model, tap(layer, "attn.hook_z"), _one_head_off_in_each)
    return each.run_layers(x.expand(model.config.n_heads, -1, -1), layer, layer + 1)


def _one_head_off_in_each(z: Tensor) -> Tensor:
    """z [head, pos, head, d_head]: variant n is without head n."""
    own = torch.eye(len(z), dtype=torch.bool)[:, None, :, None]
    return z.masked_fill(own, 0)


@torch.no_grad()
def _kl(model: Decoder, intact: Tensor, stream: Tensor) -> list[float]:
    """KL of each variant's stream [variant, pos, d_model] from the intact log-probabilities [pos, d_vocab]."""
    p = intact.exp()
    found: list[float] = []
    for part in torch.split(stream, max(rows_at_once(model) // stream.shape[1], 1)):
        if model.is_cancelled():
            raise Cancelled
        changed = model.unembed(part).log_softmax(-1)
        found += (p * (intact - changed)).sum(-1).mean(-1).clamp(min=0).tolist()
    return found
