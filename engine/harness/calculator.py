"""Whole-number arithmetic from text: a small parser, since what a model writes is untrusted and is never evaluated.

Grammar, with Python's precedence (`×`, `÷`, `−` and `^` are read too):

    sum     = product (("+" | "-") product)*
    product = sign (("*" | "/" | "//" | "%") sign)*
    sign    = ("+" | "-") sign | power
    power   = atom ["**" sign]
    atom    = digits | "(" sum ")"
"""

from __future__ import annotations

import re
from collections.abc import Callable

from llm_holes.engine.errors import InputError

MAX_CHARACTERS = 200
MAX_DEPTH = 40
MAX_BITS = 2048
"""No value on the way may be larger, so `9**9**9` is refused before it is computed."""

TOKEN = re.compile(r"\s*(?:([0-9]+)|(\*\*|//|[-+*/%()]))")
SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "\x00"})


def calculate(expression: str) -> int:
    """The exact value. Raises InputError for anything but whole-number arithmetic, or a value beyond MAX_BITS bits."""
    if len(expression) > MAX_CHARACTERS:
        raise InputError(f"the expression is longer than {MAX_CHARACTERS} characters")
    return _Parser(_tokens(expression.translate(SPELLINGS).replace("\x00", "**"))).whole()


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise InputError(f"{text[at:].lstrip()[0]!r} is not arithmetic")
        found.append(match[1] or match[2])
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> int:
        value = self._sum()
        if self._next():
            raise InputError(f"{self._next()!r} is not expected there")
        return value

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, *choices: str) -> str:
        found = self._next()
        if found not in choices:
            return ""
        self._at += 1
        return found

    def _sum(self) -> int:
        value = self._product()
        while operator := self._take("+", "-"):
            value = bounded(OPERATORS[operator], value, self._product())
        return value

    def _product(self) -> int:
        value = self._sign()
        while operator := self._take("*", "/", "//", "%"):
            value = bounded(OPERATORS[operator], value, self._sign())
        return value

    def _sign(self) -> int:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InputError(f"the expression is nested deeper than {MAX_DEPTH}")
        sign = self._take("+", "-")
        value = (-1 if sign == "-" else 1) * (self._sign() if sign else self._power())
        self._depth -= 1
        return value

    def _power(self) -> int:
        base = self._atom()
        return bounded(OPERATORS["**"], base, self._sign()) if self._take("**") else base

    def _atom(self) -> int:
        if self._take("("):
            value = self._sum()
            if not self._take(")"):
                raise InputError("a bracket is not closed")
            return value
        if not self._next()[:1].isdigit():
            raise InputError(f"a number is missing before {self._next()!r}" if self._next() else "a number is missing")
        self._at += 1
        return int(self._tokens[self._at - 1])


def bounded(operation: Callable[[int, int], int], a: int, b: int) -> int:
    value = operation(a, b)
    if value.bit_length() > MAX_BITS:
        raise InputError(f"the value is beyond {MAX_BITS} bits")
    return value


def _divide(a: int, b: int) -> int:
    if _floor(a, b) * b != a:
        raise InputError(f"{a} / {b} is not a whole number; use // and %")
    return a // b


def _floor(a: int, b: int) -> int:
    if b == 0:
        raise InputError("division by zero")
    return a // b


def _remainder(a: int, b: int) -> int:
    return a - b * _floor(a, b)


def _power(a: int, b: int) -> int:
    if b < 0:
        raise InputError("a negative power is not a whole number")
    if abs(a) > 1 and (a.bit_length() - 1) * b > MAX_BITS:
        raise InputError(f"the value is beyond {MAX_BITS} bits")
    return int(a**b)


OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "//": _floor,
    "%": _remainder,
    "**": _power,
}
