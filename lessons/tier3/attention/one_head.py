"""One head on one text, as the model computes it: whom each token looks at, and what it takes from there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import capped, causal_mask
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import weight

PAST = ("attn.hook_rot_k", "attn.hook_v")
POINTS = (*PAST, "attn.hook_rot_q", "attn.hook_attn_scores", "attn.hook_pattern", "attn.hook_z")


@dataclass(frozen=True, slots=True)
class OneHead:
    """What was tapped: `scores` and `weights` [query, key] of the head, its `values` [key, d_head], and `z`
    [query, head, d_head], what all heads of the layer took home. Queries are the positions from `start` on. `apart` is
    the largest difference of the head's z from softmax(q·k/√d)·v, computed anew from its queries, keys and values."""

    start: int
    scores: Tensor
    weights: Tensor
    values: Tensor
    z: Tensor
    apart: float


def tapped(engine: Engine, ids: Sequence[int], place: tuple[int, int], start: int, end: int) -> OneHead:
    """The head at `place` (layer, head) for the queries from `start` to before `end`: what is before goes through a
    cache, so that a long text has no large pattern."""
    (layer, head), config = place, engine.model.config
    cache, group = ContiguousCache(config, end), head // config.kv_group
    parts = []
    for first, last, points in ((0, start, PAST), (start, end, POINTS)):
        if first < last:
            text = torch.tensor([list(ids[first:last])])
            parts.append(engine.model.forward(text, cache, [tap(layer, x) for x in points], 1).acts)
    k, v = (torch.cat([torch.as_tensor(acts[tap(layer, x)][0]) for acts in parts])[:, group] for x in PAST)
    q, scores, weights, z = (torch.as_tensor(parts[-1][tap(layer, x)][0]) for x in POINTS[2:])
    anew = scaled_scores(q[:, head], k, config.windows[layer], config.attn_softcap).softmax(-1) @ v
    return OneHead(start, scores[head], weights[head], v, z, float((anew - z[:, head]).abs().max()))


def scaled_scores(q: Tensor, k: Tensor, window: int | None, cap: float | None = None) -> Tensor:
    """q·k/√d_head of the last queries with all keys, [query, key], future keys and those before the window at minus
    infinity; written anew, to check the decoder."""
    scores = capped(q @ k.T / math.sqrt(q.shape[-1]), cap)
    return scores.masked_fill(~causal_mask(len(q), len(k), window), -torch.inf)


def columns_zeroed(engine: Engine, layer: int, head: int, z: Tensor) -> float:
    """Largest difference in what the layer's attention adds between silencing a head of z [pos, head, d_head] and
    zeroing the columns of the output projection that belong to it."""
    matrix = weight(engine.model, f"model.layers.{layer}.self_attn.o_proj.weight")
    size, without, silent = engine.model.config.d_head, matrix.clone(), z.clone()
    without[:, head * size : (head + 1) * size] = 0
    silent[:, head] = 0
    return float((silent.flatten(1) @ matrix.T - z.flatten(1) @ without.T).abs().max())


def sent(engine: Engine, place: tuple[int, int], values: Tensor) -> Tensor:
    """How long the vector is, [key], that each of `values` [key, d_head] would add to the stream at full weight."""
    layer, head = place
    size = engine.model.config.d_head
    output = weight(engine.model, f"model.layers.{layer}.self_attn.o_proj.weight")
    lengths: Tensor = (values @ output[:, head * size : (head + 1) * size].T).norm(dim=-1)
    return lengths
