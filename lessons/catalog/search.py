"""Searching the lessons: titles first, those of the map too, then terms, then texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.catalog.words import CONDITIONAL, PLACEHOLDER

AROUND = 30


class Hit(NamedTuple):
    lesson: Lesson
    where: str
    """What matched beside the title: a term with its meaning, or a piece of the text."""


def find(catalog: Catalog, query: str) -> list[Hit]:
    """Lessons that hold every word of the query, best first; all lessons for an empty one."""
    words = query.casefold().split()
    ranked = [(rank, hit) for lesson in catalog.lessons.values() for rank, hit in _match(lesson, words)]
    return [hit for _, hit in sorted(ranked, key=lambda pair: pair[0])]


def _match(lesson: Lesson, words: list[str]) -> Iterator[tuple[int, Hit]]:
    titles = [title.casefold() for title in (lesson.title, lesson.short)]
    for title in titles:
        if all(word in title for word in words):
            yield (0 if words and title.startswith(words[0]) else 1), Hit(lesson, "")
            return
    for term, meaning in lesson.data.terms.items():
        if all(word in term.casefold() for word in words):
            yield 2, Hit(lesson, f"{term}: {meaning}")
            return
    text = " ".join(_prose(lesson).split())
    if all(word in text.casefold() for word in words):
        at = max(text.casefold().find(words[0]) - AROUND, 0)
        yield 3, Hit(lesson, ("…" if at else "") + text[at : at + 3 * AROUND] + "…")


def _prose(lesson: Lesson) -> str:
    """The body as it reads before a run, without link targets and marks."""
    words = CONDITIONAL.sub(lambda match: match[2], re.sub(r"^(## |---)", "", lesson.body, flags=re.MULTILINE))
    return re.sub(r"\]\([^)]*\)|[\[*`]", "", PLACEHOLDER.sub("…", words))
