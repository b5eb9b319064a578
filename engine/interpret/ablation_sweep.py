"""What the model loses without one of its parts, for every part in turn.

Up to the layer that is changed nothing differs, so that much is computed once; from there on the variants run together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from llm_holes.engine.interpret.logit_lens import residual_stream, rows_at_once
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import hooked
from llm_holes.engine.work import Work

ROWS_TOGETHER = 128
"""Vectors that share one reading of the weights: few enough to show progress, enough for a quick matrix product."""


@dataclass(frozen=True, slots=True)
class Harm:
    """How far a change moves the predictions: KL(intact ‖ changed) in nats, and of next tokens drawn with the same luck
    the share that would come out differently; both as means over the positions."""

    kl: float
    changed: float


def without_each_layer(model: Decoder, ids: Sequence[int]) -> Iterator[list[Harm]]:
    """The harm of leaving out a layer, of a few layers after the others: the layer adds nothing. A variant joins those
    of its group at the layer it leaves out, with the stream as it was."""
    stream = residual_stream(model, ids)
    intact = model.unembed(stream[-1]).log_softmax(-1)
    for group in _groups(range(model.config.n_layers), len(ids)):
        variants = stream[group[0]][None]
        for below, layer in pairwise(group):
            variants = torch.cat((model.run_layers(variants, below + 1, layer + 1), stream[layer][None]))
        yield _harm(model, intact, model.run_layers(variants, group[-1] + 1))


def neighbours_swapped(model: Decoder, ids: Sequence[int]) -> Iterator[list[Harm]]:
    """The harm of exchanging a layer with the one above it, of a few pairs after the others."""
    stream = residual_stream(model, ids)
    intact = model.unembed(stream[-1]).log_softmax(-1)
    for group in _groups(range(model.config.n_layers - 1), len(ids)):
        variants = _swapped(model, stream, group[0])
        for layer in group[1:]:
            variants = torch.cat((model.run_layers(variants, layer + 1, layer + 2), _swapped(model, stream, layer)))
        yield _harm(model, intact, model.run_layers(variants, group[-1] + 2))


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
        found = [harm.kl for harm in _harm(model, intact, model.run_layers(variants, group[-1] + 1))]
        yield [found[n : n + heads] for n in range(0, len(found), heads)]


def _swapped(model: Decoder, stream: Tensor, layer: int) -> Tensor:
    """The stream [1, pos, d_model] after two layers, of which the upper one comes first."""
    upper_first = model.run_layers(stream[layer][None], layer + 1, layer + 2)
    return model.run_layers(upper_first, layer, layer + 1)


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
def _harm(model: Decoder, intact: Tensor, stream: Tensor) -> list[Harm]:
    """The harm done to each of the streams [variant, pos, d_model]; `intact` are log-probabilities [pos, d_vocab]."""
    p = intact.exp()
    own = (p * intact).sum(-1)
    found: list[Harm] = []
    for part in torch.split(stream, max(rows_at_once(model) // stream.shape[1], 1)):
        model.reached(Work("variant", len(found) + 1, len(stream)))
        log_q = model.unembed(part).log_softmax(-1)
        kls = (own - (p * log_q).sum(-1)).mean(-1).clamp(min=0).tolist()
        shares = (log_q.exp_().sub_(p).abs_().sum(-1).mean(-1) / 2).tolist()  # in place: these are large
        found += map(Harm, kls, shares)
    return found
