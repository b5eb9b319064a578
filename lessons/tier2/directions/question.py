"""The question of word arithmetic as it is typed: king - man + woman = queen."""

from __future__ import annotations

import re
from typing import NamedTuple

from llm_holes.engine.errors import InputError

FORM = re.compile(r"\s*(.+?)\s+[-−–]\s+(.+?)\s+\+\s+(.+?)\s+=\s+(.+?)\s*")
EXAMPLE = "king - man + woman = queen"


class Question(NamedTuple):
    """this - minus + plus should be expected."""

    this: str
    minus: str
    plus: str
    expected: str

    @property
    def inputs(self) -> tuple[str, str, str]:
        return self[:3]

    @property
    def formula(self) -> str:
        return f"{self.this} - {self.minus} + {self.plus}"


def question(text: str) -> Question:
    """Raises InputError if the text has another form."""
    match = FORM.fullmatch(text)
    if match is None:
        raise InputError(f"{text!r} is no question", f"Write four words, with spaces around the signs: {EXAMPLE}")
    return Question(*match.groups())
