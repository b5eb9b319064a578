"""Attention that sees some keys only, chosen by hash, by lot or by score, as many for each query; and attention whose
map has a low rank.

Sources: Kitaev et al. 2020 (Reformer: keys by hashing; here queries and keys are hashed as they are), Wang et al. 2020
(Linformer: maps of attention are said to be of low rank), Eckart & Young 1936 (the best map of a rank).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

ChosenBy = Literal["hash", "lot", "score"]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Queries and keys fall into `count` (even) buckets by random directions; each query sees itself, the first token,
    and the earlier keys of its bucket. Or, in their place, as many keys drawn by lot, or with the highest scores."""

    count: int
    seed: int
    by: ChosenBy = "hash"

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
        return _scores(q, k).masked_fill(~self.seen(q, k), -torch.inf).softmax(-1) @ v

    def seen(self, q: Tensor, k: Tensor) -> Tensor:
        """Which keys each query sees, [batch, head, query, key]; k has as many heads as q."""
        keys = k.shape[2]
        key = torch.arange(keys)
        query = key[keys - q.shape[2] :, None]
        always = (key == query) | (key == 0)
        same = self._bucket(q)[..., None] == self._bucket(k)[..., None, :]
        hashed = (same | always) & (key <= query)
        if self.by == "hash":
            return hashed
        if self.by == "lot":
            rng = torch.Generator().manual_seed(self.seed)
            rank = torch.rand(hashed.shape, generator=rng).masked_fill(always, 2.0)
        else:
            rank = _scores(q, k)
        order = rank.masked_fill(key > query, -torch.inf).argsort(-1, descending=True).argsort(-1)
        return (order < hashed.sum(-1, keepdim=True)) & (key <= query)

    def _bucket(self, x: Tensor) -> Tensor:
        """The direction, or the opposite of one, that each vector points to most."""
        rng = torch.Generator().manual_seed(self.seed)
        along = x @ torch.randn(x.shape[-1], self.count // 2, generator=rng)
        return torch.cat((along, -along), -1).argmax(-1)


@dataclass(frozen=True, slots=True)
class LowRankMaps:
    """The best map of this rank for each head's map of weights, in the place of the map. To find it the whole map has
    to be known, later rows too: it shows what a cheap way could reach at most."""

    rank: int

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
        key = torch.arange(k.shape[2])
        later = key > key[k.shape[2] - q.shape[2] :, None]
        u, s, vh = torch.linalg.svd(_scores(q, k).masked_fill(later, -torch.inf).softmax(-1), full_matrices=False)
        best: Tensor = (u[..., : self.rank] * s[..., None, : self.rank]) @ vh[..., : self.rank, :]
        z: Tensor = best.masked_fill(later, 0.0) @ v
        return z


def _scores(q: Tensor, k: Tensor) -> Tensor:
    products: Tensor = q @ k.transpose(-1, -2)
    return products / math.sqrt(q.shape[-1])
