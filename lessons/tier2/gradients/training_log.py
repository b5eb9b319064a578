"""What is measured while a model is taught a sentence, step by step, and the curves of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from llm_holes.engine.frames import Curve, Series, View, series
from llm_holes.engine.interpret.gradients import Step, norm
from llm_holes.engine.measure import Timing
from llm_holes.engine.spelling import spelt

NO_NUMBER = 1e6
"""Published for a loss that has grown beyond all numbers."""


@dataclass
class Course:
    """What was measured so far: the loss and P of the taught end before each step and after the last; what the slope
    promised for the loss, and how long each step took."""

    losses: list[float] = field(default_factory=list)
    p_target: list[float] = field(default_factory=list)
    promised: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    def note(self, step: Step, target: int, rate: float) -> None:
        self.losses.append(step.loss if isfinite(step.loss) else NO_NUMBER)
        p = float(step.log_p[-target:].sum().exp())
        self.p_target.append(p if isfinite(p) else 0.0)
        if step.ms:
            self.ms.append(step.ms)
        if step.found is not None:
            self.promised.append(self.losses[-1] - rate * norm(list(step.found.by_name.values())) ** 2)

    def curves(self, target: str) -> tuple[View, ...]:
        steps = range(len(self.losses))
        lines: list[Series] = [series("measured", steps, self.losses)]
        if self.promised:
            lines.append(series("straight line from step 0", (0, 1), (self.losses[0], self.promised[0])))
        return (
            Curve("loss of the taught sentence, nats", tuple(lines), x_label="step", y_label="nats"),
            Curve(
                f"P of {spelt(target)}, given what is before it",
                (series("P", steps, self.p_target),),
                x_label="step",
                y_label="P",
                y_range=(0, 1),
            ),
        )

    def learnt(self) -> dict[str, Any]:
        return {
            "loss_before": self.losses[0],
            "loss_after": self.losses[-1],
            "loss_promised_first_step": self.promised[0],
            "loss_first_step": self.losses[1] if len(self.losses) > 1 else self.losses[0],
            "p_target_before": self.p_target[0],
            "p_target_after": self.p_target[-1],
            "steps": len(self.losses) - 1,
            "step_ms": Timing.of(self.ms).median if self.ms else 0.0,
        }
