"""A direction put to use: what the model writes with more and more of it added."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Table
from llm_holes.engine.measure import changed_share, kl_nats
from llm_holes.engine.numbers import exact
from llm_holes.engine.surgery.vectors import Steer
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.tier2.directions.spaces import states

KL_TOKENS = 64
PLACES = ("I feel", "She was very", "They are so")
FACTORS = (0.0, 1.0, -1.0, 4.0)
"""The strengths that are tried, as multiples of the one that was asked for."""


@dataclass(frozen=True)
class Steered:
    """What follows with a strength, and how far the predictions on the passage moved by it."""

    alpha: float
    text: str
    kl: float
    changed: float


def steering(engine: Engine, layer: int, towards: str, away: str, alpha: float = 1.0) -> Steer:
    """The difference of the two words' states after `layer`, averaged over a few openings, as a step."""
    pairs = [states(engine, layer, place, (towards, away)) for place in PLACES]
    direction = torch.stack([pair[0] - pair[1] for pair in pairs]).mean(0)
    return Steer(layer, tuple(direction.tolist()), alpha)


def strengths(alpha: float) -> list[float]:
    """What is tried beside `alpha`, which comes second unless it is 0."""
    return list(dict.fromkeys(alpha * factor + 0.0 for factor in FACTORS))


def steered(
    engine: Engine, step: Steer, alphas: Sequence[float], prompt: Sequence[int], new_tokens: int
) -> Iterator[Steered]:
    """What each of the strengths does, one after the other."""
    ids = passage_ids(engine, KL_TOKENS)
    before = engine.logits(ids)
    for alpha in alphas:
        changed = engine.operated([replace(step, alpha=alpha)]) if alpha else engine
        after = changed.logits(ids) if alpha else before
        text = changed.write(prompt, new_tokens)
        yield Steered(alpha, text, kl_nats(before, after), changed_share(before, after))


def steering_table(found: Sequence[Steered], towards: str, away: str, layer: int) -> Table:
    """From the most away to the most towards; one row per strength, the one that was asked for marked."""
    asked = found[min(1, len(found) - 1)]
    ordered = sorted(found, key=lambda one: one.alpha)
    rows = tuple((exact(one.alpha), one.text.strip() or "(nothing)", round(100 * one.changed)) for one in ordered)
    title = f"{towards} - {away}, added after layer {layer}"
    return Table(title, ("strength", "what follows", "of 100 words, others"), rows, ordered.index(asked))
