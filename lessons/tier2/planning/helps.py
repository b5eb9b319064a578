"""The text a model reads before each step of an errand: the task, the plan or not, what was done, and what kind of help
the software adds. There is nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm_holes.lessons.tier2.planning.written_plan import numbered

HELPS = ("none", "plan", "plan again", "checklist", "next step")
Kind = Literal["task", "plan", "help", "cue", "choice", "noise"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the text; a `choice` was made by the model, all others but the plan were put in by software."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Errand:
    """`plan` are the steps in order, `noise` is the line that comes back after each step, if any."""

    task: str
    plan: tuple[str, ...]
    noise: str = ""

    def due(self, chosen: Sequence[str]) -> int:
        """How many steps are done: what was chosen out of turn counts for nothing, and nothing can be taken back."""
        done = 0
        for step in chosen:
            done += done < len(self.plan) and step == self.plan[done]
        return done

    def parts(self, chosen: Sequence[str], help_: str) -> list[Part]:
        """The text up to the place where the next step is chosen, after those that were `chosen`."""
        found = [Part("task", f"Task: {self.task}\n")]
        if help_ != "none":
            found.append(Part("plan", numbered(self.plan)))
        for turn in range(len(chosen) + 1):
            if turn or help_ != "plan again":
                found += self._help(self.due(chosen[:turn]), help_)
            found.append(Part("cue", f"Step {turn + 1}:"))
            if turn < len(chosen):
                found.append(Part("choice", f" {chosen[turn]}\n"))
                found += [Part("noise", self.noise)] if self.noise else []
        return found

    def _help(self, done: int, help_: str) -> list[Part]:
        """What the software adds before a step, when `done` steps are done."""
        if help_ == "plan again":
            return [Part("help", numbered(self.plan))]
        if help_ == "checklist":
            marks = ("x" if n < done else " " for n in range(len(self.plan)))
            lines = (f"[{mark}] {n}. {step}\n" for n, (mark, step) in enumerate(zip(marks, self.plan, strict=True), 1))
            return [Part("help", "".join(lines))]
        if help_ == "next step":
            following = self.plan[done] if done < len(self.plan) else "nothing"
            return [Part("help", f"Done: {done} of {len(self.plan)}. Next: {following}\n")]
        return []
