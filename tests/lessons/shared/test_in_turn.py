"""Works are timed one after the other, round by round."""

from __future__ import annotations

from llm_holes.engine.measure import Timing
from llm_holes.lessons.shared.in_turn import clearly_slower, in_turn


def test_works_are_timed_in_turn() -> None:
    order: list[str] = []
    works = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    rounds = list(in_turn(works, lambda name: 2 if name == "b" else 3))
    assert "".join(order) == "ababa"
    assert len(rounds) == 3
    assert set(rounds[0]) == {"a", "b"}
    assert clearly_slower(Timing(9, 5, 20), Timing(4, 3, 30))
    assert not clearly_slower(Timing(9, 4, 20), Timing(4, 3, 30))
