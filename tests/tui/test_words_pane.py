"""What a step says, as the pane lays it out."""

from __future__ import annotations

from msgspec import structs

from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.catalog.words import Words
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.widgets.words import WordsPane


def said(lesson: Lesson, heading: str) -> str:
    """The pane's first line, 60 columns wide, for a step under this heading."""
    lesson = structs.replace(lesson)
    lesson.__dict__["words"] = (Words(heading, "It says so.", ""), *lesson.words[1:])
    pane = WordsPane()
    pane.set_reactive(WordsPane.lesson, lesson)
    return plain(pane.rows(60)[0])


def test_a_heading_stands_as_a_sentence_before_the_words(catalog: Catalog) -> None:
    assert said(catalog["tokens"], "Two cuts") == "Two cuts. It says so."
    assert said(catalog["tokens"], "When is it time?") == "When is it time? It says so."
