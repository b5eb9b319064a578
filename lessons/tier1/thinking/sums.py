"""Sums as questions for the thinking lesson: with correct steps, a planted mistake, and worked examples. Torch-free."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

NOTES = "Notes:"
ANSWER = "Answer:"
WRITTEN = re.compile(r"(\d+(?:\s*\+\s*\d+)+)\s*=\s*(\d+)")
SUM = re.compile(r"(?<![\d.,])\d{1,6}(?:\s*\+\s*\d{1,6}){1,7}(?![\d.,]*\d)")


@dataclass(frozen=True, slots=True)
class Sum:
    """At least two whole numbers to be added."""

    numbers: tuple[int, ...]

    @property
    def question(self) -> str:
        return f"What is {' + '.join(map(str, self.numbers))}?"

    @property
    def total(self) -> int:
        return sum(self.numbers)

    def steps(self, mistake: int = 0) -> str:
        """One addition after the other; `mistake` is added to the first result and carried on from there."""
        totals = list(accumulate(self.numbers))
        after = [totals[0], *(total + mistake for total in totals[1:])]
        additions = zip(pairwise(after), self.numbers[1:], strict=True)
        return " ".join(f"{before} + {number} = {result}." for (before, result), number in additions)

    @property
    def unfinished(self) -> str:
        """The steps up to the last result: one small addition is left to do."""
        return self.steps().rpartition(" ")[0]


EXAMPLES = (Sum((2, 5, 4)), Sum((7, 3, 8)), Sum((6, 1, 5)))
MISTAKE = 3


def sum_in(text: str) -> Sum | None:
    """The sum a question asks for, if there is one in it."""
    found = SUM.search(text)
    return Sum(tuple(map(int, found[0].split("+")))) if found else None


def false_steps(notes: str) -> int:
    """How many of the additions that are written out in the notes are wrong."""
    return sum(sum(map(int, numbers.split("+"))) != int(result) for numbers, result in WRITTEN.findall(notes))


def conclusion(notes: str) -> str:
    """What the notes come to: their last number, or their last word where they have none."""
    found = re.findall(r"\d+", notes) or re.findall(r"\w+", notes)
    return found[-1] if found else notes.strip()


def drawn(count: int, seed: int) -> list[Sum]:
    """This many sums of three one-digit numbers; the same for the same seed."""
    rng = random.Random(seed)
    return [Sum(tuple(rng.randint(1, 9) for _ in range(3))) for _ in range(count)]


def conversation(question: str, examples: Sequence[Sum] = EXAMPLES) -> list[dict[str, str]]:
    """The messages up to the question: examples that take notes before they answer, then the question."""
    messages: list[dict[str, str]] = []
    for example in examples:
        messages.append({"role": "user", "content": example.question})
        answer = f"{NOTES} {example.steps()}\n{ANSWER} {example.total}"
        messages.append({"role": "assistant", "content": answer})
    return [*messages, {"role": "user", "content": question}]
