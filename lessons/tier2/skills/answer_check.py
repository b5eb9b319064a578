"""What software can find out about an answer by counting, and how a skill's file asks for it. Torch-free."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llm_holes.engine.errors import InputError
from llm_holes.engine.numbers import plural

FORM = re.compile(r"([1-9][0-9]{0,2}) (line|word)s?")


@dataclass(frozen=True, slots=True)
class Check:
    """An answer must have so many lines with something on them, or words, and must have come to its own end."""

    count: int
    unit: str

    def __str__(self) -> str:
        return plural(self.count, self.unit)

    @classmethod
    def parsed(cls, file: str, text: str) -> Check:
        """From the line `check: 3 lines`. Raises InputError."""
        match = FORM.fullmatch(text)
        if match is None:
            raise InputError(
                f"{file} has a check that cannot be read", "Write it as: check: 3 lines, or: check: 1 word."
            )
        return cls(int(match[1]), match[2])

    def counted(self, answer: str) -> int:
        if self.unit == "word":
            return len(answer.split())
        return sum(bool(line.strip()) for line in answer.splitlines())

    def fault(self, answer: str, ended: bool) -> str:
        """What is wrong with the answer, in a few words; "" if it passes."""
        found = self.counted(answer)
        if found != self.count:
            return f"{plural(found, self.unit)}, not {self.count}"
        return "" if ended else "cut off by the limit"
