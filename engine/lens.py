"""The logit lens: what the model would say if it stopped after a layer.

A state is the stream between layers: state 0 is the embedding, state n what layer n - 1 left. The lens applies the
final norm and the output table to a state as if it were the last one (nostalgebraist 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.cache import ContiguousCache
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.model import Decoder
from llm_holes.engine.taps import in_all_layers, tap

ROWS = 256
"""States looked at in one matrix product: their logits take 50 MB with 49,152 tokens."""


def states(model: Decoder, ids: Sequence[int], last: int | None = None) -> Tensor:
    """The stream [state, pos, d_model] at the `last` positions, or at all; those before go through a cache unseen."""
    layers = model.config.n_layers
    count = len(ids) if last is None else min(last, len(ids))
    before, shown = list(ids[: len(ids) - count]), list(ids[len(ids) - count :])
    cache = None
    if before:
        cache = ContiguousCache(model.config, len(ids))
        model.forward(torch.tensor([before]), cache, logits_to_keep=1)
    taps = {"hook_embed", *in_all_layers("hook_resid_post", layers)}
    acts = model.forward(torch.tensor([shown]), cache, taps, logits_to_keep=1).acts
    names = ["hook_embed", *(tap(layer, "hook_resid_post") for layer in range(layers))]
    return torch.stack([torch.from_numpy(acts[name][0]) for name in names])


@dataclass(frozen=True)
class Lens:
    """The likeliest tokens after each state: `tokens` and `p` [state, pos, k], likeliest first. `p_final` and
    `rank_final` [state, pos] are of the token the whole model finds likeliest at that position; rank 1 is the top."""

    tokens: Tensor
    p: Tensor
    p_final: Tensor
    rank_final: Tensor


@torch.no_grad()
def lens(model: Decoder, stream: Tensor, top: int) -> Lens:
    """Looks at states [state, pos, d_model]; the last of them must be the last layer's. Raises Cancelled."""
    count, length = stream.shape[:2]
    final = model.unembed(stream[-1]).argmax(-1).repeat(count)
    parts: list[tuple[Tensor, ...]] = []
    for rows, answers in zip(torch.split(stream.flatten(0, 1), ROWS), torch.split(final, ROWS), strict=True):
        if model.stop():
            raise Cancelled
        p = model.unembed(rows).softmax(-1)
        own = p.gather(1, answers[:, None])
        best = p.topk(min(top, p.shape[1]))
        parts.append((best.indices, best.values, own[:, 0], 1 + (p > own).sum(1)))
    tokens, shares, own, ranks = (torch.cat(part) for part in zip(*parts, strict=True))
    shape = (count, length)
    return Lens(tokens.view(*shape, -1), shares.view(*shape, -1), own.view(shape), ranks.view(shape))


def first_top(ranks: Tensor) -> int:
    """The first state whose likeliest token is already the final one, from ranks [state]."""
    return int((ranks == 1).nonzero()[0])


def settled(ranks: Tensor) -> int:
    """The first state from which on the final token stays the likeliest."""
    others = (ranks != 1).nonzero()
    return int(others[-1]) + 1 if len(others) else 0
