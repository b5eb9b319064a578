"""No quiz of the catalog is passed by always pressing the same key, or by always taking the longest option."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.balance import FEWEST, check_balance
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.schema import Option, Question

LESSON = catalog.load()["tokens"]
COUNT = 20


def lesson_with(questions: Sequence[Question]) -> Lesson:
    """A lesson whose quiz has these questions."""
    lesson = Lesson(id="quiz", title="Quiz", short="Quiz", tier=1, order=1, parent="", place=Path(), toml="")
    lesson.__dict__["data"] = msgspec.structs.replace(LESSON.data, quiz=tuple(questions))
    return lesson


def question(right: int, length: int = 4, measurement: str = "") -> Question:
    """Three options of four characters, only the right one of `length`."""
    texts = ["r" * length if place == right else "word" for place in range(3)]
    options = tuple(Option(text, "Why.", correct=place == right) for place, text in enumerate(texts))
    return Question(f"Which, {right}?", options, ("Look.", "Look closer."), measurement)


def problems(questions: Sequence[Question]) -> list[tuple[str, str]]:
    return [(needle, problem) for _, needle, problem in check_balance([lesson_with(questions)])]


@pytest.mark.parametrize(("second", "refused"), [(9, False), (10, True)])
def test_a_place_may_be_right_in_45_of_100_questions(second: int, refused: bool) -> None:
    others = [question(2 * (n % 2)) for n in range(COUNT - second)]
    found = problems([*others, *(question(1) for _ in range(second))])
    assert bool(found) == refused
    assert not refused or found == [("Which, 1?", "in 10 of 20 questions of all lessons option 2 is right")]


@pytest.mark.parametrize(("longest", "refused"), [(10, False), (11, True)])
def test_the_right_option_may_be_the_longest_in_half_of_the_questions(longest: int, refused: bool) -> None:
    found = problems([question(n % 3, 5 if n < longest else 4) for n in range(COUNT)])
    assert bool(found) == refused
    assert not refused or found == [
        ("Which, 0?", "in 11 of 20 questions of all lessons the right option is the longest")
    ]


def test_what_a_run_decides_and_a_handful_of_questions_are_not_judged() -> None:
    assert not problems([question(1, 9) for _ in range(FEWEST - 1)])
    assert not problems([question(1, 9, "step") for _ in range(COUNT)])


def test_the_shipped_quizzes_are_balanced() -> None:
    assert not list(check_balance(list(catalog.load().lessons.values())))
