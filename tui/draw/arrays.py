"""Arrays of a frame as rows of numbers."""

from __future__ import annotations

from typing import cast

from llm_holes.engine.frames import Array

Cells = list[list[float]]


def matrix(array: Array) -> Cells:
    """The rows of an array [rows, columns]; none if it has another shape or is empty."""
    return cast(Cells, array.tolist()) if len(array.shape) == 2 and 0 not in array.shape else []


def matrices(array: Array) -> list[Cells]:
    """The rows of each matrix of an array [item, rows, columns]; none if it has another shape or is empty."""
    return cast(list[Cells], array.tolist()) if len(array.shape) == 3 and 0 not in array.shape else []
