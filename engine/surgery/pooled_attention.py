"""Attention to fewer keys: to the mean of each block instead of its members, or to the best few of all.

Sources: Wang et al. 2020 (Linformer: keys and values projected to a fixed number along the text), Xiong et al. 2021
(landmarks as means of segments), Liu et al. 2018 (memory compressed in blocks, the own one kept).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Each query sees its own block of `size` key by key and one landmark, the mean, for every block before: causal,
    since a block becomes a landmark only when it is over."""

    size: int

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys = k.shape[2]
        past = keys - q.shape[2]
        marks_k, marks_v = (_means(x[:, :, : keys // self.size * self.size], self.size) for x in (k, v))
        z = []
        for block in range(past // self.size, -(-keys // self.size)):
            own = slice(block * self.size, min((block + 1) * self.size, keys))
            query = torch.arange(max(own.start, past), own.stop)
            near = torch.arange(own.start, own.stop) <= query[:, None]
            # a landmark speaks for `size` keys
            far = torch.full((len(query), block), math.log(self.size))
            bias = torch.cat((far, torch.zeros(near.shape).masked_fill(~near, -torch.inf)), 1)
            seen_k = torch.cat((marks_k[:, :, :block], k[:, :, own]), 2)
            seen_v = torch.cat((marks_v[:, :, :block], v[:, :, own]), 2)
            z.append(_attend(q[:, :, query - past], seen_k, seen_v, bias))
        return torch.cat(z, 2)


@dataclass(frozen=True, slots=True)
class WholeTextLandmarks:
    """The whole text as `size` landmarks, each visible from its first token on, as a Linformer with a mask would have
    it. A landmark holds tokens that come after the query, so the future leaks."""

    size: int

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys = k.shape[2]
        length = -(-keys // self.size)
        padded = (F.pad(x, (0, 0, 0, -keys % length)) for x in (k, v))
        counts = torch.full((-(-keys // length),), length)
        counts[-1] -= -keys % length
        marks_k, marks_v = (_means(x, length) * (length / counts[:, None]) for x in padded)
        query = torch.arange(keys - q.shape[2], keys)
        visible = torch.arange(len(counts)) * length <= query[:, None]
        return _attend(q, marks_k, marks_v, counts.log().expand(visible.shape).masked_fill(~visible, -torch.inf))


@dataclass(frozen=True, slots=True)
class TopKeys:
    """Each query sees the `size` keys with the highest scores, which takes all scores to know."""

    size: int

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        past = k.shape[2] - q.shape[2]
        heads = [x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v)]
        z = []
        for start in range(0, q.shape[2], CHUNK):
            q_chunk = q[:, :, start : start + CHUNK]
            seen_k, seen_v = (x[:, :, : past + start + q_chunk.shape[2]] for x in heads)
            future = torch.ones(q_chunk.shape[2], seen_k.shape[2], dtype=torch.bool).triu(past + start + 1)
            scores = (q_chunk @ seen_k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(future, -torch.inf)
            least = scores.topk(min(self.size, scores.shape[-1])).values[..., -1:]
            z.append(scores.masked_fill(scores < least, -torch.inf).softmax(-1) @ seen_v)
        return torch.cat(z, 2)


def _means(x: Tensor, length: int) -> Tensor:
    """The means of stretches of `length` positions: [batch, kv_head, stretch, d_head]."""
    batch, kv_heads, positions, size = x.shape
    return x.reshape(batch, kv_heads, positions // length, length, size).mean(3)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Softmax attention with `bias` [query, key] on the scores, query heads sharing their KV head."""
    return F.scaled_dot_product_attention(q, k, v, bias, enable_gqa=True)
