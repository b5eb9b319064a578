"""Every term can be found by how it begins, by what it contains, and with a letter wrong."""

from __future__ import annotations

from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.glossary import Term, glossary, lookup

TERMS = tuple(
    Term(name, "what it means", "tokens", "Tokens")
    for name in ("attention", "KV cache", "stop string", "token", "token id")
)


def names(query: str) -> list[str]:
    return [term.term for term in lookup(TERMS, query)]


def test_every_term_of_every_lesson_is_in_the_glossary_once_sorted() -> None:
    lessons = catalog.load().lessons.values()
    found = glossary(catalog.load())
    names = [term.term.casefold() for term in found]
    assert names == sorted({name.casefold() for lesson in lessons for name in lesson.data.terms})
    for term in found:
        explaining = [lesson for lesson in lessons if term.term.casefold() in map(str.casefold, lesson.data.terms)]
        assert {term.title, *term.also} == {lesson.title for lesson in explaining}
        first = catalog.load()[term.lesson]
        assert first.data.terms[term.term] == term.meaning
        assert first.tier == min(lesson.tier for lesson in explaining)


def test_the_beginning_of_a_term_comes_before_that_of_a_word_in_it() -> None:
    assert names("to") == ["token", "token id", "stop string"]
    assert names("CACHE") == ["KV cache"]
    assert names("kv  c") == ["KV cache"]


def test_a_slip_of_the_hand_still_finds_it() -> None:
    assert names("atention") == ["attention"]
    assert names("tokne")[0] == "token"
    assert names("cahce") == ["KV cache"]


def test_nothing_like_it_finds_nothing_and_no_query_finds_all() -> None:
    assert names("xyzzy") == []
    assert names("zz") == []
    assert names("") == [term.term for term in TERMS]
