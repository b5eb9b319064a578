"""Sparse attention: who may look at whom, as a rule, and the attention that computes only what the rule leaves.

Sources: Child et al. 2019 (strided), Beltagy et al. 2020 (window, global + local), Xiao et al. 2023 (sinks), Zaheer et
al. 2020 and Dao et al. 2022 (whole blocks are skipped, since hardware computes in blocks).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import AttentionReplaced

MaskKind = Literal["window", "strided", "block", "global + local"]
MASK_KINDS: tuple[MaskKind, ...] = get_args(MaskKind)
BLOCK = 32


@dataclass(frozen=True, slots=True)
class SparseMask:
    """Which earlier positions each position sees, besides the first `sinks` and itself.

    window: the last `size`, itself included. strided: those, and every `size`-th one before. block: those of its own
    block of `size`. global + local: the last `size`, and the last one of every block of `size`, which sees everything.
    """

    kind: MaskKind
    size: int
    sinks: int = 0

    def sees(self, query: Tensor, key: Tensor) -> Tensor:
        """True where the position `query` sees the position `key`; the two are broadcast."""
        near = key > query - self.size
        last = self.size - 1
        match self.kind:
            case "window":
                seen = near
            case "strided":
                seen = near | ((query - key) % self.size == 0)
            case "block":
                seen = key // self.size == query // self.size
            case "global + local":
                seen = near | (key % self.size == last) | (query % self.size == last)
        return (seen | (key < self.sinks)) & (key <= query)


@dataclass(frozen=True, slots=True)
class Rows:
    """One block of queries: its first and last + 1, the keys of all key blocks it needs, and which of them it sees."""

    start: int
    stop: int
    keys: Tensor
    seen: Tensor


@lru_cache(maxsize=8)
def plan(mask: SparseMask, queries: int, keys: int, block: int = BLOCK) -> tuple[Rows, ...]:
    """What has to be computed for the last `queries` of `keys` positions, block by block."""
    rows = []
    for start in range(0, queries, block):
        stop = min(start + block, queries)
        query = torch.arange(start, stop) + keys - queries
        key = torch.arange(int(query[-1]) + 1)
        seen = mask.sees(query[:, None], key)
        needed = torch.zeros(-(-len(key) // block), dtype=torch.bool)
        needed[key[seen.any(0)] // block] = True
        used = key[needed[key // block]]
        rows.append(Rows(start, stop, used, seen[:, used]))
    return tuple(rows)


def pairs_seen(mask: SparseMask, positions: int) -> int:
    """Pairs of positions that the mask leaves."""
    return sum(int(rows.seen.sum()) for rows in plan(mask, positions, positions))


def pairs_computed(mask: SparseMask, positions: int) -> int:
    """Pairs whose score is computed where only empty blocks are skipped."""
    return sum(rows.seen.numel() for rows in plan(mask, positions, positions))


def causal_pairs(positions: int) -> int:
    """Pairs of positions in full causal attention: each sees itself and those before."""
    return positions * (positions + 1) // 2


def block_sparse_attention(q: Tensor, k: Tensor, v: Tensor, mask: SparseMask) -> Tensor:
    """Attention of q [batch, head, query, d_head] over what the mask leaves of k, v [batch, kv_head, key, d_head]: z,
    shaped like q. Key blocks that a block of queries does not need are never touched."""
    batch, kv_heads, keys, size = k.shape
    grouped = q.view(batch, kv_heads, -1, q.shape[2], size)
    kv_group = grouped.shape[2]
    z = torch.empty_like(grouped)
    for rows in plan(mask, q.shape[2], keys):
        # the queries that share a KV head are rows of one matrix, so keys and values need no copies
        q_rows = grouped[:, :, :, rows.start : rows.stop].flatten(2, 3)
        seen = rows.seen.repeat(kv_group, 1)
        z_rows = F.scaled_dot_product_attention(q_rows, k[:, :, rows.keys], v[:, :, rows.keys], seen)
        z[:, :, :, rows.start : rows.stop] = z_rows.view(batch, kv_heads, kv_group, -1, size)
    return z.view(q.shape)


@dataclass(frozen=True, slots=True)
class SparseAttention:
    """These layers attend by the mask and compute only its blocks."""

    mask: SparseMask
    layers: tuple[int, ...]

    def apply(self, model: Decoder) -> Decoder:
        attention_fn = partial(block_sparse_attention, mask=self.mask)
        return AttentionReplaced(attention_fn, self.layers).apply(model)
