"""From logits to one token: each filter is a pure function, and every stage can be shown.

Order: bias, temperature, top-k, top-p, min-p, sample. Temperature 0 is argmax, not a division by zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """`top_k` 0, `top_p` 1 and `min_p` 0 keep everything. `logit_bias` adds to a token's logit; -inf bans it."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    logit_bias: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    """The distribution [d_vocab] after a filter, renormalised, and how many tokens it keeps."""

    name: str
    probabilities: Tensor
    kept: int


def biased(logits: Tensor, logit_bias: Mapping[int, float]) -> Tensor:
    """Logits [d_vocab] with each bias added to its token's; untouched where there is none."""
    if not logit_bias:
        return logits
    logits = logits.clone()
    for token, bias in logit_bias.items():
        logits[token] += bias
    return logits


def masked(logits: Tensor, allowed: Tensor) -> Tensor:
    """Logits with minus infinity wherever bool `allowed` [d_vocab] is false: constrained decoding."""
    return logits.where(allowed, -torch.inf)


def keep_top_k(p: Tensor, k: int) -> Tensor:
    """p [d_vocab] of the k likeliest tokens, renormalised; ties at the border all stay."""
    if k <= 0 or k >= p.numel():
        return p
    return _renormalised(p.where(p >= p.topk(k).values[-1], 0.0))


def keep_top_p(p: Tensor, top_p: float) -> Tensor:
    """p [d_vocab] of the fewest likeliest tokens whose sum reaches top_p (Holtzman et al. 2020), renormalised; always
    at least one."""
    if top_p >= 1:
        return p
    ordered, order = p.sort(descending=True, stable=True)
    kept = ordered.cumsum(0) - ordered < top_p
    kept[0] = True
    return _renormalised(torch.zeros_like(p).scatter(0, order[kept], ordered[kept]))


def keep_min_p(p: Tensor, min_p: float) -> Tensor:
    """p [d_vocab] of the tokens at least min_p times as likely as the likeliest (Nguyen et al. 2024), renormalised."""
    if min_p <= 0:
        return p
    return _renormalised(p.where(p >= min_p * p.max(), 0.0))


def stages(logits: Tensor, params: SamplingParams) -> list[Stage]:
    """The distribution of logits [d_vocab] after each filter, in the order they are applied."""
    logits = biased(logits.float(), params.logit_bias)
    if params.temperature <= 0:
        p = torch.zeros_like(logits)
        p[logits.argmax()] = 1.0
        return [_stage("argmax", p)]
    p = (logits / params.temperature).softmax(-1)
    top_k = keep_top_k(p, params.top_k)
    top_p = keep_top_p(top_k, params.top_p)
    min_p = keep_min_p(top_p, params.min_p)
    return [_stage("temperature", p), _stage("top-k", top_k), _stage("top-p", top_p), _stage("min-p", min_p)]


def sample(logits: Tensor, params: SamplingParams, generator: torch.Generator) -> int:
    """One token id, drawn from what logits [d_vocab] are after the last filter."""
    p = stages(logits, params)[-1].probabilities
    if params.temperature <= 0:
        return int(p.argmax())
    return int(torch.multinomial(p, 1, generator=generator))


def generator(seed: int) -> torch.Generator:
    """A random number generator of its own for each run: the same seed samples the same tokens."""
    return torch.Generator().manual_seed(seed)


def _stage(name: str, p: Tensor) -> Stage:
    return Stage(name, p, int((p > 0).sum()))


def _renormalised(p: Tensor) -> Tensor:
    return p / p.sum()
