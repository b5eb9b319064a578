"""Sums with their steps, right and wrong."""

from __future__ import annotations

import pytest

from llm_holes.lessons.tier1.thinking.sums import Sum, conclusion, conversation, drawn, false_steps, sum_in


def test_steps_lead_to_the_total_and_a_mistake_is_carried_on() -> None:
    question = Sum((7, 5, 8))
    assert question.steps() == "7 + 5 = 12. 12 + 8 = 20."
    assert question.steps(3) == "7 + 5 = 15. 15 + 8 = 23."
    assert question.unfinished == "7 + 5 = 12. 12 + 8 ="
    assert question.total == 20


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("What is 7 + 5 + 8?", (7, 5, 8)),
        ("12+30", (12, 30)),
        ("add 1 + 2.", (1, 2)),
        ("1.5 + 2", None),
        ("1 + 2.5", None),
        ("the capital of France", None),
        ("1234567 + 1", None),
    ],
)
def test_a_sum_is_found_in_a_question(text: str, numbers: tuple[int, ...] | None) -> None:
    found = sum_in(text)
    assert (found.numbers if found else None) == numbers


def test_sums_are_the_same_for_the_same_seed() -> None:
    assert drawn(5, 1) == drawn(9, 1)[:5] != drawn(5, 2)
    assert all(sum_in(question.question) == question for question in drawn(30, 3))


def test_the_question_comes_last_behind_examples_with_notes() -> None:
    messages = conversation("Why?")
    assert messages[-1] == {"role": "user", "content": "Why?"}
    assert [m["role"] for m in messages[:2]] == ["user", "assistant"]
    assert messages[1]["content"] == "Notes: 2 + 5 = 7. 7 + 4 = 11.\nAnswer: 11"


def test_false_steps_are_the_additions_that_do_not_add_up() -> None:
    assert false_steps("7 + 5 = 12. 12 + 8 = 20.") == 0
    assert false_steps("9 + 8 = 17. 17 + 1 = 28.") == 1
    assert false_steps("7 + 7 = 12. 12 + 1 = 23.") == 2
    assert false_steps("no sums") == 0


def test_notes_come_to_their_last_number_or_word() -> None:
    assert conclusion("7 + 5 = 12. 12 + 8 = 26.") == "26"
    assert conclusion("The capital is Oslo.") == "Oslo"
    assert conclusion(" 🙂 ") == "🙂"
