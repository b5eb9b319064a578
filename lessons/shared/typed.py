"""Vectors that the learner types, such as "2 3 1" or "(3, 4) and (-4, 3)"."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from llm_holes.engine.errors import InputError
from llm_holes.engine.numbers import exact, plural

MOST = 64
LARGEST = 1e6
BETWEEN = r"[,;()\[\]]|\band\b|\bund\b"


def numbers(text: str, name: str) -> Tensor:
    """The numbers of the text in double precision, [1 to 64]; spaces, commas, brackets and “and” may separate them.
    Raises InputError, calling the vector `name`."""
    bare = re.sub(r"-\s+", "-", re.sub(BETWEEN, " ", text.replace("−", "-")))
    try:
        values = [float(part) for part in bare.split()]
    except ValueError:
        raise InputError(f"the {name}: {text!r} is not a list of numbers", "Type numbers, such as 3 4.") from None
    if not 1 <= len(values) <= MOST or not all(abs(value) <= LARGEST for value in values):
        raise InputError(f"the {name}: 1 to {MOST} numbers within a million, please", "Type numbers, such as 3 4.")
    return torch.tensor(values, dtype=torch.float64)


def two_vectors(text: str) -> tuple[Tensor, Tensor]:
    """The first half of the numbers and the second, [n] and [n]. Raises InputError."""
    found = numbers(text, "two vectors")
    if len(found) % 2:
        raise InputError(f"{plural(len(found), 'number')} cannot be shared by two vectors", "Type as many for each.")
    return found[: len(found) // 2], found[len(found) // 2 :]


def two_arrows(text: str) -> tuple[Tensor, Tensor]:
    """Two numbers for each of two arrows on a plane, [2] and [2]. Raises InputError."""
    found = numbers(text, "two arrows")
    if len(found) != 4:
        raise InputError(f"two arrows are 4 numbers, not {len(found)}", "Type two and two, such as 3 4, -4 3.")
    return found[:2], found[2:]


def listed(vector: Tensor) -> str:
    """The list as it is printed, to three decimals."""
    return f"[{', '.join(exact(round(value, 3)) for value in vector.tolist())}]"
