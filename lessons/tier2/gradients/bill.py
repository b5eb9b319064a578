"""What a step of training keeps in memory, by kind, and how long its two passes take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars
from llm_holes.engine.interpret.gradients import activation_bytes, gradients, loss
from llm_holes.engine.measure import Timing, timed

REPEATS = 5
MIB = 2**20


def counted(engine: Engine, ids: Sequence[int]) -> dict[str, Any]:
    """Bytes by kind. Gradients, and the two averages that the usual optimizer (Adam) keeps of them, are each as large
    as the weights."""
    weights = sum(w.numel() * w.element_size() for w in engine.model.weights.values())
    kept = activation_bytes(engine.model, ids)
    return {
        "weight_bytes": weights,
        "gradient_bytes": weights,
        "adam_bytes": 2 * weights,
        "activation_bytes": kept,
        "training_bytes": 4 * weights + kept,
        "training_to_chat": (4 * weights + kept) / weights,
    }


def bars(bill: dict[str, Any]) -> Bars:
    parts = {
        "a chat: weights": bill["weight_bytes"],
        "training: weights": bill["weight_bytes"],
        "gradients": bill["gradient_bytes"],
        "their average": bill["adam_bytes"] / 2,
        "their squares": bill["adam_bytes"] / 2,
        "activations": bill["activation_bytes"],
        "training: total": bill["training_bytes"],
    }
    return Bars("what must be in memory at once", tuple(parts), tuple(n / MIB for n in parts.values()), "MiB")


def timings(engine: Engine, ids: Sequence[int], forward: list[float], both: list[float]) -> dict[str, float]:
    """A forward pass alone, and forward and backward together, in turns, so that what slows one slows the other. The
    milliseconds that are there already count; more are measured until there are enough."""
    for _ in range(REPEATS - len(forward)):
        forward.append(timed(loss, engine.model, ids)[1])
        both.append(timed(gradients, engine.model, ids)[1])
    once, twice = Timing.of(forward), Timing.of(both)
    return {
        "forward_ms": once.fastest,
        "gradient_ms": twice.fastest,
        "gradient_ms_slowest": twice.slowest,
        "gradient_to_forward_time": twice.fastest / once.fastest,
    }
