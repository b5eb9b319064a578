"""All terms of all lessons, for the search and the glossary. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from llm_holes.lessons.catalog.catalog import Catalog

LIKE = 0.7
"""How alike two words must be to count as a typing error, 0..1."""


@dataclass(frozen=True, slots=True)
class Term:
    """A term, what it means in one sentence, the lesson that explains it, and the titles of others that do so too."""

    term: str
    meaning: str
    lesson: str
    title: str
    also: tuple[str, ...] = ()


def glossary(catalog: Catalog) -> tuple[Term, ...]:
    """Every term once, sorted, with what the lesson nearest the root says of it."""
    found: dict[str, Term] = {}
    for lesson in sorted(catalog.lessons.values(), key=lambda lesson: lesson.tier):
        for name, meaning in lesson.data.terms.items():
            known = found.get(name.casefold())
            found[name.casefold()] = (
                replace(known, also=(*known.also, lesson.title))
                if known is not None
                else Term(name, meaning, lesson.id, lesson.title)
            )
    return tuple(found[name] for name in sorted(found))


def lookup(terms: tuple[Term, ...], query: str) -> tuple[Term, ...]:
    """The terms that fit, best first: those that begin with the query, have a word that does, contain it, or are nearly
    it. All terms for an empty query."""
    wanted = " ".join(query.casefold().split())
    ranked = [(rank, n) for n, term in enumerate(terms) if (rank := _rank(term.term.casefold(), wanted)) is not None]
    return tuple(terms[n] for _, n in sorted(ranked))


def _rank(term: str, wanted: str) -> float | None:
    if term.startswith(wanted):
        return 0
    words = term.replace("-", " ").split()
    if any(word.startswith(wanted) for word in words):
        return 1
    if wanted in term:
        return 2
    alike = max(SequenceMatcher(None, part, wanted).ratio() for part in (term, *words))
    # so that one letter does not match every short word
    return 4 - alike if alike >= LIKE and len(wanted) > 2 else None
