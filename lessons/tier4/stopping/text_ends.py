"""What a request and an answer say by their text alone: the number asked for, and where lines and sentences end."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COMPARED = range(2, 6)
NUMBER = re.compile(rf"\b({'|'.join(WORDS)}|[1-9])\b", re.IGNORECASE)
ITEM = re.compile(rb"^[ \t]*\d+[.)]", re.MULTILINE)
END = re.compile(rb"[.!?][\"')]*(?=\s)|\S(?=[ \t]*(?:\n|\Z))")
"""Where a sentence or a line ends; the full stop behind the number of a list's item is none."""


def number_in(message: str) -> str:
    """The first number from one to nine in the message, as it is written there; "" if there is none."""
    found = NUMBER.search(message)
    return found[0] if found else ""


def value_of(number: str) -> int:
    """What a number as `number_in` finds it stands for; 0 for none."""
    if number.isdigit():
        return int(number)
    return WORDS.index(number.lower()) + 1 if number else 0


def variants(message: str) -> dict[str, str]:
    """The message by the number it asks for: with two, three, four and five for its own number, and as it is."""
    number = number_in(message)
    if not number:
        return {"": message}
    own = value_of(number)
    asked = {n: str(n) if number.isdigit() else WORDS[n - 1] for n in sorted({*COMPARED, own})} | {own: number}
    return {word: NUMBER.sub(word, message, count=1) for word in asked.values()}


def ends_in(pieces: Sequence[bytes]) -> list[int]:
    """How many of the pieces have been read where a sentence or a line ends, once for each end."""
    text = b"".join(pieces)
    items = {found.end() for found in ITEM.finditer(text)}
    ends = [found.end() for found in END.finditer(text) if found.end() not in items]
    lengths = list(accumulate(map(len, pieces)))
    return sorted({bisect_left(lengths, end) + 1 for end in ends})
