"""When questions come back, and what confidence was worth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fsrs import Card, Rating, Scheduler
from hypothesis import given
from hypothesis import strategies as st

from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.learner.events import Answered, Event, Graded, Predicted
from llm_holes.lessons.learner.spaced_repetition import DAY, LATEST, calibration, due, question_of, queue

T0 = 1_800_000_000.0
TOKENS = catalog.load()["tokens"].data
REAL = TOKENS.quiz[0].question


def answered(days: float, right: bool | None, question: str = REAL, **more: Any) -> Answered:
    return Answered(lesson="tokens", question=question, option=0, said="a", right=right, at=T0 + days * DAY, **more)


def days_until_due(events: list[Event]) -> float:
    (item,) = queue(events)
    return (item.due - item.answered) / DAY


def test_each_recall_in_time_brings_the_question_back_later() -> None:
    events: list[Event] = [answered(0, True)]
    waits = []
    day = 0.0
    for _ in range(5):
        (item,) = queue(events)
        assert due(events, item.due - 1) == ()
        assert due(events, item.due) == (item,)
        waits.append((item.due - item.answered) / DAY)
        day += waits[-1]
        events.append(answered(day, True))
    assert waits == sorted(set(waits))
    assert waits[-1] > 30


def test_the_dates_are_those_of_fsrs() -> None:
    scheduler = Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)
    card, when = Card(card_id=1), datetime.fromtimestamp(T0, UTC)
    events: list[Event] = []
    for days, right, told in ((0, True, Rating.Good), (2, True, Rating.Easy), (30, False, Rating.Again)):
        card, _ = scheduler.review_card(card, told, when + timedelta(days=days))
        events.append(answered(days, right, confidence=100 if told is Rating.Easy else None))
        assert queue(events)[0].due == pytest.approx(card.due.timestamp())
        assert queue(events)[0].stability == card.stability


def test_the_more_confident_a_right_answer_the_later_the_question_comes_back() -> None:
    waits = [days_until_due([answered(0, True, confidence=sure)]) for sure in (50, 80, 100)]
    assert waits == sorted(set(waits))


def test_a_wrong_answer_comes_back_sooner_than_a_right_one() -> None:
    known: list[Event] = [answered(day, True) for day in (0, 2, 12)]
    assert days_until_due([answered(0, False)]) == 1
    assert days_until_due([*known, answered(50, False)]) < days_until_due([*known, answered(50, True)])
    # however sure
    assert days_until_due([answered(0, False, confidence=100)]) == 1


def test_answering_again_at_once_does_not_count_as_remembering() -> None:
    once = [answered(0, True)]
    assert queue([*once, answered(0.01, True), answered(0.5, True)]) == queue(once)
    assert queue([*once, answered(0.6, False)])[0].due < queue(once)[0].due


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.booleans(), st.integers(50, 100)), max_size=6))
def test_any_clock_and_any_answers_give_a_date_after_the_answer(answers: list[tuple[float, bool, int]]) -> None:
    events = [
        Answered(lesson="tokens", question="q", option=0, said="a", right=right, confidence=sure, at=at)
        for at, right, sure in sorted(answers)
    ]
    for item in queue(events):
        assert item.due >= min(max(item.answered, 0), LATEST)
        assert item.stability > 0


def test_what_could_not_be_graded_is_not_asked_again() -> None:
    assert queue([answered(0, None)]) == ()


def test_the_longest_due_comes_first() -> None:
    events = [answered(2, True, "b"), answered(0, True, "a"), answered(1, True, "c")]
    assert [item.question for item in due(events, T0 + 9 * DAY)] == ["a", "c", "b"]


def test_a_clock_that_was_wrong_does_not_hide_a_question() -> None:
    assert len(due([answered(4000, True)], T0)) == 1


def test_questions_that_were_reworded_or_whose_lesson_is_gone_are_not_asked() -> None:
    events = [answered(0, True), answered(0, True, "an old wording")]
    assert [item.question for item in due(events, T0 + 3 * DAY, catalog.load())] == [REAL]
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
