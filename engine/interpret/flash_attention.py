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
        q_tile = q[:, start : start + tile]
        running_max = q_tile.new_full((*q_tile.shape[:2], 1), -torch.inf)
        running_sum, output = torch.zeros_like(running_max), torch.zeros_like(q_tile)
        place = torch.arange(start, start + q_tile.shape[1])[:, None]
        for first in range(0, start + q_tile.shape[1], tile):
            k_tile, v_tile = k[:, first : first + tile], v[:, first : first + tile]
            scores = q_tile @ k_tile.transpose(-1, -2) / math.sqrt(q.shape[-1])
            scores = scores.masked_fill(torch.arange(first, first + k_tile.shape[1]) > place, -torch.inf)
            new_max = torch.maximum(running_max, scores.amax(-1, keepdim=True))
            rescale, weights = (running_max - new_max).exp(), (scores - new_max).exp()
            running_sum = running_sum * rescale + weights.sum(-1, keepdim=True)
            output = output * rescale + weights @ v_tile
            running_max = new_max
        parts.append(output / running_sum)
    return torch.cat(parts, dim=1)
