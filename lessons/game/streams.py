"""A text's streams through the intact model, and through a broken one, which are the same up to its damage."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder

Streams = Sequence[Tensor]
"""The stream [pos, d_model] as it enters each layer, then as it leaves the last one."""


@torch.no_grad()
def streams_of(model: Decoder, ids: Sequence[int]) -> Streams:
    """The model's streams on this text. Raises Cancelled."""
    return streams_after(model, [model.embed(torch.tensor([list(ids)]))[0]], 0)


@torch.no_grad()
def streams_after(model: Decoder, intact: Streams, first: int) -> Streams:
    """The streams of a model that does what the intact one does before layer `first`. Raises Cancelled."""
    found = list(intact[: first + 1])
    for layer in range(first, model.config.n_layers):
        found.append(model.run_layers(found[-1][None], layer, layer + 1)[0])
    return found


@torch.no_grad()
def logits(model: Decoder, streams: Streams) -> Tensor:
    """What the last of these streams says of each next token, [pos, vocabulary]."""
    return model.unembed(streams[-1])
