"""How well a plan is followed: under each kind of help, carried out from the start, and when it is disturbed. No
torch."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from llm_holes.lessons.tier2.planning.helps import Errand, Part
from llm_holes.lessons.tier2.planning.shares import Chooses

LOOKALIKES = ("feed the cat", "open the window")
PAGES = (16, 160)
"""Lengths in tokens of the unrelated text that is put in between; the first is about that of the look-alikes."""
UNDISTURBED, ALIKE = "nothing", "look-alike steps"


@dataclass(frozen=True)
class Kept:
    """One order of the plan with one kind of help. `shares` [step, option] say how likely each step is to come next,
    where all before it was done as planned; `attention` is that on the plan at the last choice, if
    somebody could look at it."""

    help: str
    shares: tuple[tuple[float, ...], ...]
    attention: float | None

    @property
    def right(self) -> list[float]:
        """The probability of the step that is due, at each step."""
        return [row[n] for n, row in enumerate(self.shares)]

    @property
    def mean_right(self) -> float:
        return sum(self.right) / len(self.right)

    @property
    def likeliest(self) -> int:
        """At how many steps the one that is due is the likeliest."""
        return sum(row[n] == max(row) for n, row in enumerate(self.shares))

    @property
    def repeats(self) -> float:
        """The mean probability of doing the step before once more, from the second step on."""
        return sum(row[n] for n, row in enumerate(self.shares[1:])) / (len(self.shares) - 1)

    @property
    def all_right(self) -> float:
        """The probability of all steps in their order, each drawn by its probability."""
        return math.prod(self.right)

    @property
    def before_a_slip(self) -> float:
        """How many steps are done before the first wrong one, on average over such draws."""
        return sum(accumulate(self.right, lambda so_far, p: so_far * p))


def kept(chooser: Chooses, errand: Errand, help_: str) -> Kept:
    """Measures every step of the errand with this help."""
    texts = [errand.parts(errand.plan[:n], help_) for n in range(len(errand.plan))]
    places = [chooser.options.index(step) for step in errand.plan]
    rows = [chooser.shares(text) for text in texts]
    shares = tuple(tuple(row[place] for place in places) for row in rows)
    return Kept(help_, shares, chooser.attention(texts[-1], {"plan", "help"}))


@dataclass
class Walk:
    """The model carries the plan out by itself: each step the likeliest, whatever it was."""

    errand: Errand
    help: str
    chosen: list[str] = field(default_factory=list)
    forced: int = 0

    def steps(self, chooser: Chooses) -> Iterator[str]:
        while len(self.chosen) < len(self.errand.plan):
            shares = chooser.shares(self.errand.parts(self.chosen, self.help))
            self.chosen.append(chooser.options[shares.index(max(shares))])
            self.forced += chooser.forced(self.chosen[-1])
            yield self.chosen[-1]

    def parts(self) -> list[Part]:
        """The whole text so far, without the place for a next step once all were tried."""
        found = self.errand.parts(self.chosen, self.help)
        if len(self.chosen) == len(self.errand.plan):
            last = max(n for n, part in enumerate(found) if part.kind == "choice")
            return found[: last + 1]
        return found


def orders(plan: tuple[str, ...], count: int, seed: int) -> list[tuple[str, ...]]:
    """The plan itself, then the same steps in orders drawn at random."""
    rng = random.Random(seed)
    return [plan, *(tuple(rng.sample(plan, len(plan))) for _ in range(count - 1))]


def disturbed(
    chooser: Chooses, errand: Errand, note: Callable[[int], str], size: Callable[[str], int]
) -> Iterator[tuple[str, int, float]]:
    """What is put in before each step but the first, in tokens, and how likely the step that is due still is, on
    average over the steps. `note` gives a line of so many tokens of a book, `size` the tokens of a text."""
    steps = len(errand.plan)
    alike = "".join(f"Step {steps + n}: {step}\n" for n, step in enumerate(LOOKALIKES, 1))
    between = {UNDISTURBED: "", ALIKE: alike}
    between |= {f"{count} tokens of a book": note(count) for count in PAGES}
    for name, added in between.items():
        right: list[float] = []
        for done in range(1, steps):
            text = errand.parts(errand.plan[:done], "plan")
            parts = [*text[:-1], *([Part("noise", added)] if added else []), text[-1]]
            right.append(chooser.shares(parts)[chooser.options.index(errand.plan[done])])
        yield name, size(added), mean(right)


def as_note(text: str) -> str:
    """The text in a line, as what comes back after a step; nothing for none."""
    line = " ".join(text.split())
    return f"Note: {line}\n" if line else ""


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
