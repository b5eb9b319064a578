"""A sentence said again and again: how likely the next copy is, and what the two kinds of penalty do to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Curve, series
from llm_holes.engine.numbers import exact

COPIES = 9
MOST_TOKENS = 40

Penalty = Callable[[Tensor, Sequence[int]], Tensor]


def without(logits: Tensor, seen: Sequence[int]) -> Tensor:
    return logits


def repetition(strength: float) -> Penalty:
    """Makes the score of every token that was there smaller (Keskar et al. 2019): a positive one is divided, a negative
    one multiplied. How often it was there does not count."""

    def changed(logits: Tensor, seen: Sequence[int]) -> Tensor:
        tokens = torch.tensor(sorted(set(seen)))
        scores = logits[tokens]
        return logits.index_copy(0, tokens, torch.where(scores > 0, scores / strength, scores * strength))

    return changed


def frequency(strength: float) -> Penalty:
    """Takes `strength` off a token's score for each time it was there."""

    def changed(logits: Tensor, seen: Sequence[int]) -> Tensor:
        return logits - strength * torch.tensor(seen).bincount(minlength=len(logits))

    return changed


def by_repeats(engine: Engine, sentence: str, penalties: dict[str, Penalty]) -> dict[str, list[float]]:
    """The mean chance of a sentence's tokens, by how often the sentence was there already, 1 to COPIES - 1."""
    first, again = engine.encode(sentence.strip()), engine.encode(f" {sentence.strip()}")
    if len(again) > MOST_TOKENS:
        raise InputError(f"the sentence to repeat has {len(again)} tokens", f"At most {MOST_TOKENS}, please.")
    ids = engine.fits(first + again * (COPIES - 1))
    logits, length = engine.logits(ids), len(again)
    found: dict[str, list[float]] = {name: [] for name in penalties}
    for start in range(len(first), len(ids), length):
        if engine.model.is_cancelled():
            raise Cancelled
        for name, penalty in penalties.items():
            places = range(start, start + length)
            chances = [float(penalty(logits[at - 1], ids[:at]).softmax(-1)[ids[at]]) for at in places]
            found[name].append(sum(chances) / length)
    return found


def chances(engine: Engine, sentence: str, divisor: float, subtracted: float) -> tuple[dict[str, Any], Curve]:
    """What is published of the loop, and its picture."""
    names = ("as it is", f"÷ {exact(divisor)} if seen", f"- {exact(subtracted)} each time")
    free, penalised, counted = by_repeats(
        engine, sentence, dict(zip(names, (without, repetition(divisor), frequency(subtracted)), strict=True))
    ).values()
    measured = {
        "p_next_copy_by_repeats": free,
        "p_next_copy_penalised_by_repeats": penalised,
        "p_next_copy_counted_by_repeats": counted,
        "repeats": COPIES - 1,
        "p_copy_first": free[0],
        "p_copy_last": free[-1],
        "p_copy_first_penalised": penalised[0],
        "p_copy_last_penalised": penalised[-1],
        "p_copy_most_counted": max(counted),
        "p_copy_last_counted": counted[-1],
    }
    times = range(1, COPIES)
    lines = tuple(series(name, times, y) for name, y in zip(names, (free, penalised, counted), strict=True))
    return measured, Curve("one more copy", lines, "times said", "chance of the next token", y_range=(0, 1))
