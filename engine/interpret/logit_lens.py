"""The logit lens: what the model would say if it stopped after a layer.

A state is the stream between layers: state 0 is the embedding, state n what layer n - 1 left. The lens applies the
final norm and the output table to a state as if it were the last one (nostalgebraist 2020).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Acts, Decoder
from llm_holes.engine.model.hook_names import in_all_layers, tap
from llm_holes.engine.work import Work

LOGITS = 2**24
"""Logits made in one matrix product, 64 MiB of them."""


def tapped(model: Decoder, ids: Sequence[int], taps: Collection[str], last: int | None = None) -> Acts:
    """Activations at the `last` positions, or at all; the positions before go through a cache unseen."""
    unseen = 0 if last is None else max(len(ids) - last, 0)
    cache = None
    if unseen:
        cache = ContiguousCache(model.config, len(ids))
        model.forward(torch.tensor([list(ids[:unseen])]), cache, logits_to_keep=1)
    return model.forward(torch.tensor([list(ids[unseen:])]), cache, taps, logits_to_keep=1).acts


def residual_stream(model: Decoder, ids: Sequence[int], last: int | None = None) -> Tensor:
    """The stream [state, pos, d_model] at the `last` positions, or at all."""
    layers = model.config.n_layers
    acts = tapped(model, ids, {"hook_embed", *in_all_layers("hook_resid_post", layers)}, last)
    names = ["hook_embed", *(tap(layer, "hook_resid_post") for layer in range(layers))]
    return torch.stack([torch.as_tensor(acts[name][0]) for name in names])


def rows_at_once(model: Decoder) -> int:
    """How many vectors to unembed together."""
    return max(LOGITS // model.config.d_vocab, 1)


@dataclass(frozen=True)
class Lens:
    """The likeliest tokens after each state: `tokens`, `p` and `change`, by how much p differs from the state below,
    all [state, pos, k], likeliest first. `p_final` and `rank_final` [state, pos] are of the token the whole model finds
    likeliest at that position; rank 1 is the top."""

    tokens: Tensor
    p: Tensor
    change: Tensor
    p_final: Tensor
    rank_final: Tensor


@torch.no_grad()
def lens(model: Decoder, stream: Tensor, top: int) -> Lens:
    """Looks at states [state, pos, d_model]; the last of them must be the last layer's. Raises Cancelled."""
    answers = model.unembed(stream[-1]).argmax(-1)[:, None]
    below: Tensor | None = None
    parts: list[tuple[Tensor, ...]] = []
    for some in torch.split(stream, max(rows_at_once(model) // stream.shape[1], 1)):
        model.reached(Work("state", sum(len(part[0]) for part in parts) + 1, len(stream)))
        logits = model.unembed(some)
        places = answers.expand(len(some), -1, 1)
        # by the logits: probabilities of 0 would be ties
        rank = 1 + (logits > logits.gather(-1, places)).sum(-1)
        p = logits.softmax(-1)
        best = p.topk(min(top, p.shape[-1]))
        before = torch.cat((p[:1] if below is None else below, p[:-1]))
        change = best.values - before.gather(-1, best.indices)
        parts.append((best.indices, best.values, change, p.gather(-1, places)[..., 0], rank))
        below = p[-1:].clone()
    return Lens(*(torch.cat(part) for part in zip(*parts, strict=True)))


def first_top(ranks: Tensor) -> int:
    """The first state whose likeliest token is already the final one, from ranks [state]."""
    tops = (ranks == 1).nonzero()
    return int(tops[0]) if len(tops) else len(ranks) - 1


def settled_at(ranks: Tensor) -> int:
    """The first state from which on the final token stays the likeliest."""
    others = (ranks != 1).nonzero()
    return int(others[-1]) + 1 if len(others) else 0


def residual_updates(model: Decoder, ids: Sequence[int], last: int) -> tuple[Tensor, Tensor]:
    """What attention and FFN of each layer add, [2 · layer, pos, d_model], and the stream they add up to from the
    embedding on, [pos, d_model], summed in fp64."""
    layers = model.config.n_layers
    points = ("hook_attn_out", "hook_mlp_out")
    names = [tap(layer, point) for layer in range(layers) for point in points]
    acts = tapped(model, ids, {"hook_embed", *names}, last)
    added = torch.stack([torch.as_tensor(acts[name][0]) for name in names])
    return added, torch.as_tensor(acts["hook_embed"][0]).double() + added.double().sum(0)
