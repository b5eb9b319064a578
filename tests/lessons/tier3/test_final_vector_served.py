"""Where filters cut a list of which only the beginning is known."""

from __future__ import annotations

import pytest

from llm_holes.engine.backends.backend import Likely
from llm_holes.lessons.tier3.final_vector_to_token.served import Told

TOLD = Told(tuple(Likely(name.encode(), p) for name, p in zip("abcde", (0.5, 0.2, 0.1, 0.02, 0.01), strict=True)))


@pytest.mark.parametrize(
    ("top_k", "top_p", "min_p", "left"),
    [
        (3, 1.0, 0.0, 3),
        (0, 0.75, 0.0, 3),
        (0, 0.5, 0.0, 1),
        (0, 1.0, 0.3, 2),
        (3, 0.6, 0.0, 1),
        (2, 0.9, 0.5, 1),
        (0, 1.0, 0.0, None),
        (9, 1.0, 0.0, None),
        (0, 0.95, 0.0, None),
    ],
)
def test_filters_leave_as_many_as_can_be_told(top_k: int, top_p: float, min_p: float, left: int | None) -> None:
    assert TOLD.kept(top_k, top_p, min_p) == left
