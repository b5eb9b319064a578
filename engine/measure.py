"""How far a changed model is from the intact one, and how long something takes."""

from __future__ import annotations

import hashlib
import statistics
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from llm_holes.engine.device import clock
from llm_holes.engine.numbers import duration

P = ParamSpec("P")
T = TypeVar("T")


def kl_nats(intact: Tensor, changed: Tensor) -> float:
    """Mean over positions of KL(intact ‖ changed), in nats, from logits [pos, d_vocab]."""
    p, q = intact.log_softmax(-1), changed.log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean().clamp(min=0))


def changed_share(intact: Tensor, changed: Tensor) -> float:
    """Of next tokens drawn with the same luck, the share that would come out differently: the mean over positions of
    the total variation distance, from logits [pos, d_vocab]."""
    return float((intact.softmax(-1) - changed.softmax(-1)).abs().sum(-1).mean() / 2)


def loss_nats(logits: Tensor, ids: Tensor) -> float:
    """Mean surprise at each next token, in nats: logits [pos, d_vocab] against ids [pos]."""
    return float(torch.nn.functional.cross_entropy(logits[:-1], ids[1:]))


def perplexity(logits: Tensor, ids: Tensor) -> float:
    return float(torch.tensor(loss_nats(logits, ids)).exp())


def fingerprint(weights: Mapping[str, Tensor]) -> str:
    """A checksum of every weight's bytes, by name; equal before and after means nothing was written."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(weights):
        # several times faster than hashing, and against accidents, not against forgers
        checksum = zlib.crc32(weights[name].contiguous().cpu().numpy().data)
        digest.update(f"{name} {checksum:08x}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of repeated runs: the median, and the fastest and slowest."""

    median: float
    fastest: float
    slowest: float

    @classmethod
    def of(cls, ms: list[float]) -> Timing:
        return cls(statistics.median(ms), min(ms), max(ms))

    def __str__(self) -> str:
        return f"{duration(self.median)} ({duration(self.fastest)} to {duration(self.slowest)})"


def timed(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
    """The result of `work(*args, **kwargs)` and its milliseconds."""
    started = clock()
    result = work(*args, **kwargs)
    return result, (clock() - started) * 1e3


def repeated(times: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, Timing]:
    """The last result of `work(*args, **kwargs)`, and the time of this many runs, at least one."""
    runs = [timed(work, *args, **kwargs) for _ in range(times)]
    return runs[-1][0], Timing.of([ms for _, ms in runs])
