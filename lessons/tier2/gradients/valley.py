"""The loss after one step, for steps of many sizes: a valley, and the straight line that the slope promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Mark, series
from llm_holes.engine.interpret.gradients import Gradients, losses_along, norm
from llm_holes.engine.numbers import exact

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0, 1.5, 2.0, 3.0, 5.0)
"""The sizes of the steps; 1 is where the straight line reaches a loss of 0."""
HIGHEST = 15.0
"""Losses are drawn up to here, nats: knowing nothing is below it, and more would flatten the valley."""
FLAT = 1e-9


def above(losses: Sequence[float], highest: float) -> str:
    """For a title: what is beyond the end of the picture is drawn there."""
    return f"; more than {exact(highest)} is drawn as {exact(highest)}" if max(losses) > highest else ""


@dataclass
class Valley:
    """`slope` is how much loss one unit of step size takes off, nats; `sizes` and `losses` belong together, and begin
    with no step at all."""

    start: float
    slope: float
    sizes: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    @property
    def promised_zero(self) -> float:
        """The step after which the loss would be 0 if the ground were straight."""
        return self.start / max(self.slope, FLAT)

    @property
    def best(self) -> int:
        return min(range(len(self.losses)), key=self.losses.__getitem__)

    @property
    def breaks_at(self) -> float:
        """The smallest tried step beyond the best one after which the loss is higher than before; 0 if none is."""
        beyond = list(zip(self.sizes, self.losses, strict=True))[self.best :]
        return next((size for size, loss in beyond if loss > self.start), 0.0)

    def curve(self, target: str) -> Curve:
        drawn = [(size, min(loss, HIGHEST)) for size, loss in zip(self.sizes, self.losses, strict=True)]
        lines = (
            series("measured", [size for size, _ in drawn], [loss for _, loss in drawn]),
            series("promised by the slope", (0.0, self.promised_zero), (self.start, 0.0)),
        )
        best = Mark("lowest", *drawn[self.best])
        return Curve(
            f"loss after one step, by its size; the text ends in {target}{above(self.losses, HIGHEST)}",
            lines,
            y_label="loss",
            x_range=(0.0, SHARES[-1] * self.promised_zero),
            marks=(Mark("you", 0.0, self.start), *([best] if len(drawn) > 1 else [])),
        )

    def published(self) -> dict[str, Any]:
        best = self.sizes[self.best]
        return {
            "step_sizes": list(self.sizes),
            "loss_by_step_size": list(self.losses),
            "promised_zero_step": self.promised_zero,
            "best_step_size": best,
            "best_step_loss": self.losses[self.best],
            "best_to_promised": best / self.promised_zero,
            "breaks_at_step": self.breaks_at,
        }


def walked(engine: Engine, ids: Sequence[int], found: Gradients, no_number: float) -> Iterator[Valley]:
    """The valley as it is measured, step size by step size; a loss that is none is `no_number`."""
    valley = Valley(found.loss, norm(list(found.by_name.values())) ** 2, [0.0], [found.loss])
    yield valley
    sizes = [share * valley.promised_zero for share in SHARES]
    for size, loss in zip(sizes, losses_along(engine.model, ids, found, sizes), strict=True):
        valley.sizes.append(size)
        valley.losses.append(loss if isfinite(loss) and loss < inf else no_number)
        yield valley
