"""The word lists of the directions lesson, sorted by relation."""

from __future__ import annotations

Line = tuple[str, str, str, str]


def _lines(text: str) -> tuple[Line, ...]:
    return tuple((a, b, c, d) for a, b, c, d in (line.split() for line in text.split(", ")))


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((a, b) for a, b in (pair.split() for pair in text.split(", ")))


CAPITALS = (
    "Germany Berlin, Italy Rome, Japan Tokyo, Spain Madrid, England London, Russia Moscow, Egypt Cairo, Greece Athens"
)
RELATIONS: dict[str, tuple[Line, ...]] = {
    "men and women": _lines(
        "man king woman queen, uncle aunt father mother, brother sister son daughter, he she his her, "
        "boy girl husband wife"
    ),
    "capitals": _lines(", ".join(f"France Paris {pair}" for pair in CAPITALS.split(", "))),
    "languages": _lines("France French Germany German, Japan Japanese China Chinese"),
    "comparatives": _lines(
        "big bigger small smaller, tall taller short shorter, strong stronger weak weaker, good better bad worse"
    ),
    "now and past": _lines("walk walked jump jumped, go went eat ate, take took give gave, run ran swim swam"),
    "one and many": _lines("cat cats dog dogs, car cars house houses, child children man men"),
    "opposites": _lines("hot cold big small"),
    "un-": _lines("happy unhappy fair unfair"),
    "-ly": _lines("quick quickly slow slowly"),
}
"""a is to b as c is to d, so b - a + c should be d."""
ANALOGIES = tuple(line for lines in RELATIONS.values() for line in lines)

PAIRS = {
    "capitals": _pairs(
        "England London, France Paris, Germany Berlin, Japan Tokyo, Egypt Cairo, Greece Athens, Italy Rome"
    ),
    "men and women": _pairs("man woman, king queen, he she, brother sister, son daughter, father mother, boy girl"),
    "now and past": _pairs("walk walked, jump jumped, go went, take took, give gave, eat ate, run ran"),
    "one and many": _pairs("cat cats, dog dogs, car cars, house houses, child children, man men, tree trees"),
    "opposites": _pairs("hot cold, big small, good bad, strong weak, tall short, happy sad, rich poor"),
}
"""Pairs to draw as arrows."""
