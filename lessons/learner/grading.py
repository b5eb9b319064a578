"""Grades predictions and quiz answers against what a finished run measured. No torch, no textual."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from llm_holes.engine.frames import Value
from llm_holes.engine.numbers import exact, measurement, percent
from llm_holes.lessons.catalog.schema import Bet, Option, Question
from llm_holes.lessons.catalog.words import fill

TOLERANCE = 0.25
"""How far a predicted number may be from the measured one, as a share of the measured one."""

NOT_RUN = "Run the experiment first: this is decided by what it measures on your model, with your text."

Measured = Mapping[str, Value | None]
Known = Mapping[str, Mapping[str, object]]
"""What `fill` puts into the texts: the groups `measured` and `model`."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An option after answering. `right` is None where no run has decided it yet."""

    text: str
    because: str
    right: bool | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an answer, in plain text.

    `right` is None where it cannot be graded; `because` then says why. Otherwise `because` explains the learner's
    answer, and after a miss also the right one, `answer`. `was` is the measured value, "" where nothing was measured.
    """

    right: bool | None
    said: str
    was: str
    because: str
    answer: str = ""

    @property
    def sentence(self) -> str:
        """Both side by side, in one line."""
        if self.right is None:
            return self.because
        if self._is_figure:
            return f"{self._said}; it was {self.was}."
        return f"{self._said}. That is right." if self.right else f"{self._said}; it is “{self.answer}”."

    @property
    def opening(self) -> str:
        """The sentence before `because`, without what is said there."""
        said_there = self.right is False and not self._is_figure and f"It is “{self.answer}”." in self.because
        return f"{self._said}." if said_there else self.sentence

    @property
    def _is_figure(self) -> bool:
        """Whether `was` can stand beside an answer: a yes or no is one to the measurement's own question."""
        return any(map(str.isdigit, self.was))

    @property
    def _said(self) -> str:
        return f"You said “{self.said}”" if any(map(str.isalpha, self.said)) else f"You said {self.said}"


def grade(
    question: Bet | Question, answer: float, measured: Measured | None, model: Mapping[str, object] | None = None
) -> Outcome:
    """The outcome of an answer: the index of an option or, where the question has none, a number.

    `measured` is that of the finished run, None where the lesson was not run. `model` fills `{model.…}`.
    """
    name = question.measurement
    was = measurement(name, (measured or {})[name]) if _known(question, measured) else ""
    if not question.options:
        assert isinstance(question, Bet)
        return _grade_number(question, answer, measured, was)
    said = question.options[int(answer)]
    if needs_run(question) and not was:
        return Outcome(None, said.text, "", NOT_RUN if measured is None else _undecided(question))
    right = right_option(question, measured)
    hit = right == int(answer)
    reasons = [said.because]
    if not hit and right is not None:
        reasons += [f"It is “{question.options[right].text}”. {question.options[right].because}"]
    known = {"measured": _filled(measured), "model": model or {}}
    because = " ".join(fill(reason, known) for reason in reasons)
    return Outcome(hit, said.text, was, because, question.options[right].text if right is not None else was)


def explained(
    question: Bet | Question, measured: Measured | None, model: Mapping[str, object] | None = None
) -> tuple[Explained, ...]:
    """Every option with its reason, for after answering."""
    known = {"measured": _filled(measured), "model": model or {}}
    decided = not needs_run(question) or _known(question, measured)
    right = right_option(question, measured) if decided else None
    return tuple(
        Explained(option.text, fill(option.because, known), (n == right) if decided else None)
        for n, option in enumerate(question.options)
    )


def needs_run(question: Bet | Question) -> bool:
    """Whether a run has to decide the answer."""
    return bool(question.measurement)


def right_option(question: Bet | Question, measured: Measured | None) -> int | None:
    """The index of the right option; None if the measured value fits none, or is not known."""
    if not needs_run(question):
        return next((n for n, option in enumerate(question.options) if option.correct), None)
    if not _known(question, measured):
        return None
    value = (measured or {})[question.measurement]
    return next((n for n, option in enumerate(question.options) if satisfies(option, value)), None)


def decided_otherwise(bet: Bet, one: Measured, other: Measured) -> bool:
    """Whether two runs make different answers of a bet right."""
    if not bet.options:
        value = one.get(bet.measurement)
        assert isinstance(value, int | float)
        return grade(bet, value, other).right is False
    first, second = right_option(bet, one), right_option(bet, other)
    return None not in (first, second) and first != second


def satisfies(option: Option, value: Value | None) -> bool:
    """Whether the measured value makes this the right option: it lies in [at_least, below) or is `equals`."""
    if option.equals is not None:
        # in Python, True == 1
        return isinstance(value, bool) is isinstance(option.equals, bool) and value == option.equals
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        return False
    return (option.at_least is None or value >= option.at_least) and (option.below is None or value < option.below)


def _grade_number(bet: Bet, said: float, measured: Measured | None, was: str) -> Outcome:
    if not was:
        return Outcome(None, exact(said), "", NOT_RUN if measured is None else _undecided(bet))
    value = (measured or {})[bet.measurement]
    if not isinstance(value, int | float):
        return Outcome(None, exact(said), was, _undecided(bet))
    right = math.isfinite(said) and abs(said - value) <= TOLERANCE * abs(value)
    within = f"{'Within' if right else 'Not within'} {percent(TOLERANCE)} of what was measured, which counts as right."
    return Outcome(right, exact(said), was, within, was)


def _known(question: Bet | Question, measured: Measured | None) -> bool:
    value = (measured or {}).get(question.measurement)
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _undecided(question: Bet | Question) -> str:
    name = question.measurement
    return f"This run measured no {name}, so it cannot decide the answer. Change a setting and run again."


def _filled(measured: Measured | None) -> dict[str, object]:
    return {name: value for name, value in (measured or {}).items() if value is not None}
