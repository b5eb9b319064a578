"""Whether a quiz can be passed without reading: what must hold over the questions of all lessons together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.schema import Question

FEWEST = 12
"""Questions from which on a share says something."""
IN_ONE_PLACE = 0.45
"""At most this share of the right options may stand in the same place of their lists."""
LONGEST = 0.5
"""At most this share of the right options may be longer than each wrong one beside it."""

Place = tuple[Lesson, Question]


def check_balance(lessons: Sequence[Lesson]) -> Iterator[tuple[Lesson, str, str]]:
    """The problems, each at a question that has it: (its lesson, a text to find in the file, the problem).

    Questions decided by a measurement have no right option before a run and do not count.
    """
    places = [(lesson, question) for lesson in lessons for question in lesson.data.quiz if not question.measurement]
    if len(places) < FEWEST:
        return
    for place, count in Counter(_right(question) for _, question in places).items():
        if count > IN_ONE_PLACE * len(places):
            said = f"in {count} of {len(places)} questions of all lessons option {place + 1} is right"
            yield *_first(places, [_right(question) == place for _, question in places]), said
    longest = [_stands_out(question) for _, question in places]
    if sum(longest) > LONGEST * len(places):
        said = f"in {sum(longest)} of {len(places)} questions of all lessons the right option is the longest"
        yield *_first(places, longest), said


def _right(question: Question) -> int:
    """Where the right option stands, from 0; -1 if there is none, which is a fault of its own."""
    return next((place for place, option in enumerate(question.options) if option.correct), -1)


def _stands_out(question: Question) -> bool:
    wrong = [len(option.text) for option in question.options if not option.correct]
    return any(option.correct and len(option.text) > max(wrong, default=0) for option in question.options)


def _first(places: Sequence[Place], true: Sequence[bool]) -> tuple[Lesson, str]:
    lesson, question = places[true.index(True)]
    return lesson, question.question
