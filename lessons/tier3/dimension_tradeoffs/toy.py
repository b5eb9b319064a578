"""A model so small that it can be drawn: some features squeezed through two numbers, trained while the learner watches.

Source: Elhage et al. 2022, Toy Models of Superposition: x' = ReLU(Wᵀ·W·x + b), errors weighted by importance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Arrow, Dots, Plane

FEATURES = ("French", "code", "dates", "jokes", "names", "rhymes", "chess", "gossip")
FALLING = 0.9
"""Each feature matters this much less than the one before."""
STARTS = 6
"""So many models are trained at once, from other beginnings; the best one is shown."""
STEPS, SHOWN_EVERY, BATCH, RATE = 1200, 120, 256, 0.02
DECAY, SQUARES_DECAY = 0.9, 0.999
JUDGED_ON = 8192
KEPT, DRAWN = 0.5, 0.1
"""An arrow at least this long is kept; a shorter one than the other is not drawn."""
CIRCLE = tuple(math.radians(5 * n) for n in range(73))


@dataclass(frozen=True)
class Squeezed:
    """Models in training: `arrows` [model, 2, feature], what is added to each feature read [model, 1, feature], and
    each model's `loss` [model]."""

    arrows: Tensor
    added: Tensor
    loss: Tensor

    @property
    def best(self) -> Tensor:
        """The arrows of the best of them, [feature, 2]."""
        return self.arrows[int(self.loss.argmin())].T


def read_back(x: Tensor, arrows: Tensor, added: Tensor) -> Tensor:
    """The features [text, feature] as each model reads them out of its two numbers: [model, text, feature]."""
    two_numbers = x @ arrows.transpose(1, 2)
    return torch.relu(two_numbers @ arrows + added)


def trained(features: int, presence: float, seed: int, is_cancelled: Callable[[], bool]) -> Iterator[Squeezed]:
    """The models after every so many steps of Adam (Kingma & Ba 2015); the last ones are done. Raises Cancelled."""
    # torch.optim would import for a second before the first picture
    draw = torch.Generator().manual_seed(seed)
    w = torch.randn(STARTS, 2, features, generator=draw).mul_(0.5).requires_grad_()
    b = torch.zeros(STARTS, 1, features, requires_grad=True)
    means, squares = ([torch.zeros_like(x) for x in (w, b)] for _ in range(2))
    for step in range(1, STEPS + 1):
        grads = torch.autograd.grad(_loss(_texts(BATCH, features, presence, draw), w, b).sum(), (w, b))
        rate = RATE * min(1.0, 3 * (1 - step / (STEPS + 1)))
        with torch.no_grad():
            for x, grad, mean, square in zip((w, b), grads, means, squares, strict=True):
                mean.lerp_(grad, 1 - DECAY)
                square.lerp_(grad * grad, 1 - SQUARES_DECAY)
                scale = (square / (1 - SQUARES_DECAY**step)).sqrt() + 1e-8
                x -= rate * mean / (1 - DECAY**step) / scale
        if step % SHOWN_EVERY == 0:
            if is_cancelled():
                raise Cancelled
            with torch.no_grad():
                judged = _texts(JUDGED_ON, features, presence, torch.Generator().manual_seed(seed))
                yield Squeezed(w.detach().clone(), b.detach().clone(), _loss(judged, w, b))


def _texts(count: int, features: int, presence: float, draw: torch.Generator) -> Tensor:
    """How much of each feature is in each of so many made-up texts, 0 to 1; most are absent if `presence` is small."""
    there = torch.rand(count, features, generator=draw) < presence
    return torch.rand(count, features, generator=draw) * there


def _loss(x: Tensor, arrows: Tensor, added: Tensor) -> Tensor:
    """Of each model, [model]."""
    importance = FALLING ** torch.arange(x.shape[1])
    return (importance * (x - read_back(x, arrows, added)) ** 2).mean(1).sum(-1)


def measured_arrows(arrows: Tensor) -> dict[str, Any]:
    """What the arrows [feature, 2] say: how many are kept, and the angles from each of these to the next one round."""
    kept = arrows[arrows.norm(dim=1) >= KEPT]
    around = sorted(math.degrees(math.atan2(y, x)) for x, y in kept.tolist())
    gaps = [b - a for a, b in pairwise([*around, *(first + 360 for first in around[:1])])]
    return {
        "features_kept": len(kept),
        "features_lost": len(arrows) - len(kept),
        "feature_angles": [round(gap, 1) for gap in gaps],
        "smallest_angle": min(gaps, default=0.0),
    }


def on_a_plane(arrows: Tensor) -> Plane:
    """The arrows [feature, 2] in a circle of length 1, which keeps the scale while they grow."""
    named = [(name, row) for name, row in zip(FEATURES, arrows, strict=False) if row.norm() >= DRAWN]
    lost = [name for name, row in zip(FEATURES, arrows, strict=False) if row.norm() < KEPT]
    circle = Dots("length 1", tuple(map(math.cos, CIRCLE)), tuple(map(math.sin, CIRCLE)), joined=True)
    title = f"{len(arrows)} features as arrows of two numbers" + (f" · lost: {', '.join(lost)}" if lost else "")
    return Plane(title, tuple(Arrow(name, *row.tolist()) for name, row in named), dots=(circle,))
