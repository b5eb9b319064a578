"""Attention whose work grows with the text and not with its square: softmax replaced by a product of features.

With weights φ(q)·φ(k) instead of exp(q·k) the sum over earlier positions can be kept and added to, [features, d_head]
for each KV head.

Sources: Katharopoulos et al. 2020 (elu + 1, the causal running sum), Choromanski et al. 2021 (positive orthogonal
random features, FAVOR+).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64


@dataclass(frozen=True, slots=True)
class EluFeatures:
    """φ(x) = elu(x) + 1, as many features as the head has dimensions."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return linear_attention(F.elu(q) + 1, F.elu(k) + 1, v)


@dataclass(frozen=True, slots=True)
class NoFeatures:
    """φ(x) = 1: every earlier position counts the same, whatever it offers."""

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return linear_attention(torch.ones_like(q[..., :1]), torch.ones_like(k[..., :1]), v)


@dataclass(frozen=True, slots=True)
class RandomFeatures:
    """φ(x) = exp(w·x - |x|²/2) for `count` random w: on average φ(q)·φ(k) is exp(q·k), the more of them the nearer."""

    count: int
    seed: int = 0

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        w = directions(self.count, q.shape[-1], self.seed).to(q.device)
        # long keys need exponents far below what fp32 can hold
        log_phi_q, log_phi_k = (x @ w.T - x.square().sum(-1, keepdim=True) / 2 for x in (_scaled(q), _scaled(k)))
        # a factor of one query's features cancels in its weights
        log_phi_q = log_phi_q - log_phi_q.amax(-1, keepdim=True)
        return linear_attention(log_phi_q.exp(), log_phi_k.exp(), v.double()).to(v.dtype)


def _scaled(x: Tensor) -> Tensor:
    """So that the product of two is the attention score, q·k / √d_head."""
    return x.double() / math.sqrt(math.sqrt(x.shape[-1]))


@lru_cache(maxsize=64)
def directions(count: int, size: int, seed: int) -> Tensor:
    """`count` random vectors [count, size], orthogonal in blocks of `size` and as long as Gaussian ones."""
    rng = torch.Generator().manual_seed(seed)
    blocks = []
    for _ in range(-(-count // size)):
        square = torch.randn(size, size, generator=rng, dtype=torch.float64)
        norms = torch.randn(size, size, generator=rng, dtype=torch.float64).norm(dim=1, keepdim=True)
        blocks.append(torch.linalg.qr(square).Q.T * norms)
    return torch.cat(blocks)[:count]


def linear_attention(phi_q: Tensor, phi_k: Tensor, v: Tensor) -> Tensor:
    """Σ phi_q·phi_k v / Σ phi_q·phi_k over each query's own and earlier positions, in one sweep.

    phi_q [batch, head, query, features], phi_k [batch, kv_head, key, features], v [batch, kv_head, key, d_head]; the
    queries are the last of the keys' positions. Within a chunk the weights are written out, what is
    before it is summed up.
    """
    batch, kv_heads, keys, features = phi_k.shape
    queries = phi_q.shape[2]
    grouped = phi_q.reshape(batch, kv_heads, -1, queries, features)
    values = F.pad(v, (0, 1), value=1.0)  # the last column adds up the weights
    past = keys - queries
    state = phi_k[:, :, :past].transpose(-1, -2) @ values[:, :, :past]
    sums = []
    for start in range(0, queries, CHUNK):
        q_chunk = grouped[:, :, :, start : start + CHUNK]
        place = slice(past + start, past + start + q_chunk.shape[3])
        k_chunk, v_chunk = phi_k[:, :, place], values[:, :, place]
        near = (q_chunk @ k_chunk.transpose(-1, -2)[:, :, None]).tril()
        sums.append(q_chunk @ state[:, :, None] + near @ v_chunk[:, :, None])
        state = state + k_chunk.transpose(-1, -2) @ v_chunk
    total = torch.cat(sums, 3)
    z = total[..., :-1] / total[..., -1:].clamp_min(torch.finfo(total.dtype).tiny)
    return z.reshape(batch, -1, queries, v.shape[-1])
