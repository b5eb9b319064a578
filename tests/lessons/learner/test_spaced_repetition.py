"""When questions come back, and what confidence was worth."""

from __future__ import annotations

from typing import Any

import pytest

from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.learner.events import Answered, Event, Graded, Predicted
from llm_holes.lessons.learner.spaced_repetition import DAY, calibration, due, question_of, queue

T0 = 1_800_000_000.0
TOKENS = catalog.load()["tokens"].data
assert TOKENS is not None
REAL = TOKENS.quiz[0].question


def answered(days: float, right: bool | None, question: str = REAL, **more: Any) -> Answered:
    return Answered(lesson="tokens", question=question, option=0, said="a", right=right, at=T0 + days * DAY, **more)


def test_a_question_comes_back_after_1_3_7_and_21_days_and_then_is_known() -> None:
    events: list[Event] = [answered(0, True)]
    day = 0.0
    for step, days in enumerate((1, 3, 7, 21)):
        (item,) = queue(events)
        assert (item.step, item.due) == (step, T0 + (day + days) * DAY)
        assert due(events, item.due - 1) == ()
        assert due(events, item.due) == (item,)
        day += days
        events.append(answered(day, True))
    assert queue(events) == ()


def test_a_wrong_answer_comes_back_tomorrow() -> None:
    events = [answered(0, True), answered(1, True), answered(4, False)]
    (item,) = queue(events)
    assert (item.step, item.due) == (0, T0 + 5 * DAY)


def test_a_wrong_first_answer_comes_back_tomorrow_too() -> None:
    assert queue([answered(0, False)])[0].due == T0 + DAY


def test_a_known_question_that_is_missed_later_is_in_the_queue_again() -> None:
    events = [answered(day, True) for day in (0, 1, 4, 11, 32)]
    assert queue(events) == ()
    assert queue([*events, answered(40, False)])[0].due == T0 + 41 * DAY


def test_answering_again_at_once_does_not_count_as_remembering() -> None:
    events = [answered(0, True), answered(0.01, True), answered(0.5, True)]
    assert [(item.step, item.due) for item in queue(events)] == [(0, T0 + DAY)]
    assert queue([*events, answered(0.6, False)])[0].due == T0 + 1.6 * DAY


def test_what_could_not_be_graded_is_not_asked_again() -> None:
    assert queue([answered(0, None)]) == ()


def test_the_longest_due_comes_first() -> None:
    events = [answered(2, True, "b"), answered(0, True, "a"), answered(1, True, "c")]
    assert [item.question for item in due(events, T0 + 9 * DAY)] == ["a", "c", "b"]


def test_a_clock_that_was_wrong_does_not_hide_a_question() -> None:
    assert len(due([answered(4000, True)], T0)) == 1


def test_questions_that_were_reworded_or_whose_lesson_is_gone_are_not_asked() -> None:
    events = [answered(0, True), answered(0, True, "an old wording")]
    assert [item.question for item in due(events, T0 + DAY, catalog.load())] == [REAL]
    assert question_of(catalog.load(), queue(events)[0]) is not None


def predicted(name: str, confidence: int, right: bool | None) -> list[Event]:
    made = Predicted(lesson="tokens", id=name, answer=0, said="a", confidence=confidence)
    return (
        [made]
        if right is None
        else [made, Graded(lesson="tokens", id=f"{name}g", prediction=name, was="1", right=right)]
    )


def test_calibration_counts_how_often_each_confidence_was_right() -> None:
    events = [
        *predicted("a", 50, True),
        *predicted("b", 70, True),
        *predicted("c", 74, False),
        *predicted("d", 100, None),
        answered(0, True, confidence=75),
        answered(0, None, confidence=100),
        answered(0, True),
    ]
    found = calibration(events)
    assert [(b.confidence, b.n, b.right) for b in found.buckets] == [
        (50, 1, 1), (60, 0, 0), (70, 2, 1), (80, 1, 1), (90, 0, 0), (100, 0, 0),
    ]  # fmt: skip
    assert [b.share for b in found.buckets] == [1, None, 0.5, 1, None, None]
    assert (found.n, found.right) == (4, 3)
    assert found.brier == pytest.approx((0.25 + 0.09 + 0.74**2 + 0.0625) / 4)


def test_calibration_of_nothing() -> None:
    assert calibration([]).brier is None


@pytest.mark.parametrize(("confidence", "right", "brier"), [(100, True, 0), (100, False, 1), (50, True, 0.25)])
def test_brier_of_one_answer(confidence: int, right: bool, brier: float) -> None:
    assert calibration(predicted("a", confidence, right)).brier == brier


def test_a_prediction_graded_twice_counts_once() -> None:
    again = Graded(lesson="tokens", id="again", prediction="a", was="1", right=True)
    assert calibration([*predicted("a", 80, True), again]).n == 1
