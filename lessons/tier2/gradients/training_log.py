"""What is measured while a model is taught a sentence, step by step, and the curves of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import Any

from llm_holes.engine.frames import Curve, series
from llm_holes.engine.interpret.gradients import Step, norm
from llm_holes.engine.measure import Timing
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.tier2.gradients.valley import above

HIGHEST = 25.0
"""Losses of the walk are drawn up to here, nats."""
NO_NUMBER = 1e6
"""Published for a loss that has grown beyond all numbers."""


@dataclass
class Course:
    """What was measured so far: the loss and P of the taught end before each step and after the last; what the slope
    promised for the loss, how long each step took, and a forward pass and the gradients at the same place."""

    losses: list[float] = field(default_factory=list)
    p_target: list[float] = field(default_factory=list)
    promised: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    forward_ms: list[float] = field(default_factory=list)
    gradient_ms: list[float] = field(default_factory=list)

    def note(self, step: Step, target: int, rate: float) -> None:
        self.losses.append(step.loss if isfinite(step.loss) else NO_NUMBER)
        p = float(step.log_p[-target:].sum().exp())
        self.p_target.append(p if isfinite(p) else 0.0)
        if step.ms:
            self.ms.append(step.ms)
        if step.found is not None and not self.promised:
            self.promised.append(self.losses[-1] - rate * norm(list(step.found.by_name.values())) ** 2)

    def walk(self, target: str) -> Curve:
        """The loss step by step, from where it began."""
        lines = (series("loss", range(len(self.losses)), [min(loss, HIGHEST) for loss in self.losses]),)
        title = f"loss, step by step; the text ends in {spelt(target)}{above(self.losses, HIGHEST)}"
        return Curve(title, lines, y_label="loss")

    def chance(self, target: str) -> Curve:
        title = f"P of {spelt(target)}, given what is before it"
        lines = (series("P", range(len(self.p_target)), self.p_target),)
        return Curve(title, lines, x_label="step", y_label="P", y_range=(0, 1))

    def learnt(self) -> dict[str, Any]:
        first = self.losses[1] if len(self.losses) > 1 else self.losses[0]
        return {
            "loss_before": self.losses[0],
            "loss_after": self.losses[-1],
            "loss_promised_first_step": self.promised[0],
            "loss_first_step": first,
            "every_step_lower": all(after < before for before, after in pairwise(self.losses)),
            "thrown_out_later": first < self.losses[0] <= self.losses[-1],
            "p_target_before": self.p_target[0],
            "p_target_after": self.p_target[-1],
            "steps": len(self.losses) - 1,
            "step_ms": Timing.of(self.ms).median if self.ms else 0.0,
        }
