"""Arrays as lists, without numpy."""

from __future__ import annotations

import numpy as np
import pytest

from llm_holes.engine.frames import Array, DType
from llm_holes.tui.draw.arrays import matrices, matrix


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u1"])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 3, 1, 2), (0, 3), (2, 0), (2, 0, 3)])
def test_an_array_comes_out_as_numpy_would_nest_it(dtype: DType, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    assert Array.of(values, dtype).tolist() == values.tolist()


def test_an_array_without_dimensions_is_its_number() -> None:
    assert Array("f4", (), np.float32(0.5).tobytes()).tolist() == 0.5


def test_only_a_matrix_has_rows_and_only_a_stack_has_matrices() -> None:
    flat, table, stack = (Array.of(np.ones(shape)) for shape in ((3,), (2, 3), (4, 2, 3)))
    assert (matrix(flat), matrices(flat)) == ([], [])
    assert (matrix(table), matrices(table)) == ([[1.0] * 3] * 2, [])
    assert (matrix(stack), matrices(stack)) == ([], [[[1.0] * 3] * 2] * 4)
    assert (matrix(Array.of(np.ones((0, 3)))), matrices(Array.of(np.ones((2, 0, 3))))) == ([], [])
