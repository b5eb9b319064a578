"""The tokens lesson and events about it, as the tests of progress need them."""

from __future__ import annotations

from typing import Any

from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.learner.events import Answered

LESSONS = catalog.load()
TOKENS = LESSONS["tokens"]
QUIZ = [question.question for question in TOKENS.data.quiz]


def answered(question: str = QUIZ[0], right: bool | None = True, **more: Any) -> Answered:
    return Answered(lesson="tokens", question=question, option=1, said="b", right=right, **more)
