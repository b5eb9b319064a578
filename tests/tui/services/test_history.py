from __future__ import annotations

from llm_holes.tui.services.history import History


def test_back_goes_the_way_that_was_come_and_each_lesson_once() -> None:
    history = History()
    assert not history
    history.remember("tokens")
    history.remember("attention")
    assert history
    assert [history.back(), history.back(), history.back()] == ["attention", "tokens", None]
    assert not history
