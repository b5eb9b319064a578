"""Numbers and matrices as learners type them: `1 0.5 / 0 1`, `[[1, 0.5], [0, 1]]`, one row a line."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from llm_holes.engine.errors import InputError
from llm_holes.engine.numbers import count, plural

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)")
LARGEST = 1000.0


def numbers(text: str, name: str, rows: int, columns: int) -> Tensor:
    """The typed numbers as a matrix [rows, columns], read row by row; whatever stands between them is no matter. Raises
    InputError, calling the setting `name`, if it is another count of numbers or one is too large to show."""
    found = [float(number) for number in NUMBER.findall(text.replace("−", "-").replace("–", "-"))]
    wanted = rows * columns
    if len(found) != wanted:
        shape = f"{rows} rows of {columns}" if rows > 1 else f"such as {' '.join(map(str, range(1, wanted + 1)))}"
        raise InputError(
            f"“{name}” holds {plural(len(found), 'number')}; it takes {wanted}",
            f"Type {shape}, with spaces between the numbers and a point in them: 0.5.",
        )
    if max(map(abs, found)) > LARGEST:
        raise InputError(f"a number of “{name}” is too large", f"Numbers here are from -{count(LARGEST)} to 1,000.")
    return torch.tensor(found).view(rows, columns)
