"""Attention in tiles with a running softmax: the same sum, and never more than one tile of scores in memory.

Source: Milakov & Gimelshein 2018 (online softmax), Dao et al. 2022 (FlashAttention).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def tiled_attention(q: Tensor, k: Tensor, v: Tensor, tile: int) -> Tensor:
    """Causal attention of q, k, v [head, pos, d_head], `tile` queries by `tile` keys at a time: [head, pos, d_head].

    For each query it keeps the largest score so far, the sum of exponentials and the sum of values weighted by them;
    when a larger score comes, both sums are scaled down to it.
    """
    parts = []
    for start in range(0, q.shape[1], tile):
        queries = q[:, start : start + tile]
        highest = queries.new_full((*queries.shape[:2], 1), -torch.inf)
        total, summed = torch.zeros_like(highest), torch.zeros_like(queries)
        place = torch.arange(start, start + queries.shape[1])[:, None]
        for first in range(0, start + queries.shape[1], tile):
            keys, values = k[:, first : first + tile], v[:, first : first + tile]
            scores = queries @ keys.transpose(-1, -2) / math.sqrt(q.shape[-1])
            scores = scores.masked_fill(torch.arange(first, first + keys.shape[1]) > place, -torch.inf)
            higher = torch.maximum(highest, scores.amax(-1, keepdim=True))
            shrink, weights = (highest - higher).exp(), (scores - higher).exp()
            total = total * shrink + weights.sum(-1, keepdim=True)
            summed = summed * shrink + weights @ values
            highest = higher
        parts.append(summed / total)
    return torch.cat(parts, dim=1)
