"""Answers are graded by what was measured, and by nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from llm_holes.engine.frames import Scalar, Value
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.checks import check_lesson
from llm_holes.lessons.catalog.schema import Bet, Option, Question
from llm_holes.lessons.learner.grading import explained, grade, needs_run, right_option

HINTS = ("look", "look closer")
LESSONS = catalog.load().lessons.values()
QUESTIONS: list[tuple[str, Bet | Question]] = [
    (lesson.id, question) for lesson in LESSONS for question in (*lesson.data.bets, *lesson.data.quiz)
]
MEASURED = [(name, question) for name, question in QUESTIONS if needs_run(question)]


def ranged(*ends: float) -> Bet:
    """A prediction whose options are cut at the ends."""
    lows, highs = (None, *ends), (*ends, None)
    return Bet(
        "how many?",
        "tokens",
        {},
        tuple(
            Option(f"option {n}", f"because {n} {{measured.tokens}}", at_least=low, below=high)
            for n, (low, high) in enumerate(zip(lows, highs, strict=True))
        ),
    )


@pytest.mark.parametrize(("lesson_id", "question"), QUESTIONS)
def test_every_question_of_every_lesson_has_one_right_answer_at_every_boundary(
    lesson_id: str, question: Bet | Question
) -> None:
    for value in boundary_values(question):
        measured = {question.measurement: value}
        right = [option.right for option in explained(question, measured)]
        if not question.options:
            assert grade(question, float(value or 0), measured).right
            continue
        assert right.count(True) == 1, value
        for index, option in enumerate(question.options):
            outcome = grade(question, index, measured)
            assert outcome.right is right[index]
            assert outcome.answer == question.options[right.index(True)].text
            assert outcome.said == option.text
            assert outcome.because


def boundary_values(question: Bet | Question) -> list[Value]:
    ends = {end for option in question.options for end in (option.at_least, option.below) if end is not None}
    named: list[Value] = [option.equals for option in question.options if option.equals is not None]
    around = [x for end in ends for x in (math.nextafter(end, -math.inf), end, math.nextafter(end, math.inf))]
    return [*named] if named else [-1e300, 0, 1, *around, 1e300]


def test_a_bound_belongs_to_the_option_above_it() -> None:
    question = ranged(2.0, 5.0)
    assert [right_option(question, {"tokens": value}) for value in (1.999, 2, 4.999, 5)] == [0, 1, 1, 2]


def test_a_miss_is_explained_with_the_measured_number() -> None:
    outcome = grade(ranged(2.0, 5.0), 0, {"tokens": 41})
    assert outcome.right is False
    assert outcome.sentence == outcome.opening == "You said “option 0”; it was 41."
    assert outcome.because == "because 0 41 It is “option 2”. because 2 41"
    assert outcome.answer == "option 2"


def test_a_hit_is_explained_once() -> None:
    outcome = grade(ranged(2.0), 1, {"tokens": 41})
    assert (outcome.right, outcome.because) == (True, "because 1 41")


@pytest.mark.parametrize(
    ("said", "measured", "right"),
    [
        *[(30.75, 41, True), (30.7, 41, False), (51.25, 41, True), (51.3, 41, False), (3, 41, False)],
        *[(0, 0, True), (0.01, 0, False), (-4, -5, True), (4, -5, False), (math.inf, 41, False), (math.nan, 41, False)],
    ],
)
def test_a_number_is_right_within_a_quarter_of_the_measured_one(said: float, measured: float, right: bool) -> None:
    outcome = grade(Bet("how many?", "n"), said, {"n": measured})
    assert outcome.right is right
    assert "25 %" in outcome.because


def test_said_and_was_stand_side_by_side() -> None:
    assert grade(Bet("how many?", "tokens"), 3, {"tokens": 41}).sentence == "You said 3; it was 41."
    assert grade(Bet("how long?", "decode_ms"), 3, {"decode_ms": 41.26}).sentence == "You said 3; it was 41 ms."


def test_a_miss_about_yes_or_no_is_told_the_right_option_and_not_the_measured_word() -> None:
    options = Option("yes, it is", "A", equals=False), Option("no", "B", equals=True)
    question = Question("is it so?", options, HINTS, "m")
    missed = grade(question, 0, {"m": True})
    assert missed.sentence == "You said “yes, it is”; it is “no”."
    assert (missed.opening, missed.because) == ("You said “yes, it is”.", "A It is “no”. B")
    assert grade(question, 1, {"m": True}).sentence == "You said “no”. That is right."


@pytest.mark.parametrize("measured", [None, {}, {"tokens": math.nan}, {"tokens": None}])
def test_what_was_not_measured_is_not_graded(measured: dict[str, Value | None] | None) -> None:
    for question in (ranged(2.0), Bet("how many?", "tokens")):
        outcome = grade(question, 1, measured)
        assert outcome.right is None
        assert outcome.because == outcome.sentence
        assert "run" in outcome.because.lower()
    assert all(option.right is None for option in explained(ranged(2.0), measured))


def test_text_is_no_answer_to_how_many() -> None:
    assert grade(Bet("how many?", "n"), 1, {"n": "Paris"}).right is None


def test_a_question_of_knowledge_needs_no_run() -> None:
    question = Question("why?", (Option("a", "A"), Option("b", "B", correct=True)), HINTS)
    outcome = grade(question, 0, None)
    assert (outcome.right, outcome.because, outcome.answer) == (False, "A It is “b”. B", "b")
    assert outcome.sentence == "You said “a”; it is “b”."
    assert [option.right for option in explained(question, None)] == [False, True]


@pytest.mark.parametrize(("equals", "value", "right"), [(True, True, True), (True, 1, False), (1, True, False)])
def test_true_is_not_one(equals: Scalar, value: Value, right: bool) -> None:
    question = Question("?", (Option("a", "A", equals=equals), Option("b", "B", equals="x")), HINTS, "m")
    assert grade(question, 0, {"m": value}).right is right


def test_a_value_no_option_names_makes_every_answer_wrong() -> None:
    question = Question("?", (Option("a", "A", equals="x"), Option("b", "B", equals="y")), HINTS, "m")
    outcome = grade(question, 0, {"m": "z"})
    assert (outcome.right, outcome.was, outcome.answer) == (False, "z", "z")
    assert outcome.sentence == outcome.opening == "You said “a”; it is “z”."


def test_reasons_are_plain_text_and_may_quote_the_model() -> None:
    option = Option("a", "It wrote {measured.answer} with {model.n_layers} layers.", correct=True)
    outcome = grade(Question("?", (option, Option("b", "B")), HINTS), 0, {"answer": "*a* [b]"}, {"n_layers": 30})
    assert outcome.because == "It wrote *a* [b] with 30 layers."


@pytest.mark.parametrize(
    ("name", "value", "was"),
    [("decode_ms_with_cache", 41.26, "41 ms"), ("p_next", 1.2e-7, "under 0.01 %"), ("speedup", 23.04, "23 times")],
)
def test_a_verdict_says_the_measured_number_with_its_unit(name: str, value: Value, was: str) -> None:
    question = Question("?", (Option("few", "A", below=1e-3), Option("many", "B", at_least=1e-3)), HINTS, name)
    assert grade(question, 0, {name: value}).sentence == f"You said “few”; it was {was}."


BAD_OPTIONS = {
    "a gap": ([(None, 2), (3, None)], "no option is right for numbers from 2 to 3"),
    "an overlap": ([(None, 3), (2, None)], "two options are right for numbers from 2 to 3"),
    "no lower end": ([(1, 2), (2, None)], "no option is right for numbers below 1"),
    "no upper end": ([(None, 2), (2, 4)], "no option is right for numbers from 4 on"),
    "an empty range": ([(None, 2), (2, 2), (2, None)], "no number is at least 2 and below 2"),
}


def faults_of(options: tuple[Option, ...]) -> list[str]:
    front = catalog.load()["tokens"].data
    assert front is not None
    lesson = catalog.load()["tokens"]
    step, *others = front.steps
    changed = structs.replace(
        front, steps=(structs.replace(step, bet=Bet("how many?", "tokens", {}, options)), *others)
    )
    others_faults = {problem for _, problem in check_lesson("tokens", front, lesson.body, catalog.load().lessons)}
    found = [problem for _, problem in check_lesson("tokens", changed, lesson.body, catalog.load().lessons)]
    return [problem for problem in found if problem not in others_faults and "two bets" not in problem]


@pytest.mark.parametrize(("ends", "fault"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_options_must_cover_the_number_line_once(ends: list[tuple[float | None, float | None]], fault: str) -> None:
    assert fault in faults_of(
        tuple(Option(f"{n}", "x", at_least=low, below=high) for n, (low, high) in enumerate(ends))
    )


def test_options_of_other_kinds_are_checked_too() -> None:
    yes, no, other = (Option(str(v), "x", equals=v) for v in (True, False, True))
    assert faults_of((yes, no)) == []
    assert faults_of((yes, other)) == ["two options equal the same value"]
    assert faults_of((yes, Option("x", "x", equals="x"))) == [
        "a yes or no is measured: one option must equal true and one false"
    ]
    assert "ranges" in faults_of((yes, Option("x", "x", at_least=1)))[0]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.sets(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=5), st.floats(allow_nan=False))
def test_whatever_is_measured_one_option_is_right(ends: set[float], value: float) -> None:
    question = ranged(*sorted(ends))
    assert faults_of(question.options) == []
    assert [option.right for option in explained(question, {"tokens": value})].count(True) == 1
