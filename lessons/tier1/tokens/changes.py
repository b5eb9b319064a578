"""Small changes to a text that a reader hardly notices, and what they do to the next token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_holes.engine.frames import Bars, Table
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spaced, spelt

if TYPE_CHECKING:
    from llm_holes.engine.engine import Engine

LONG_WORD = 5
"""Letters from which on a word gets a typo."""
AS_TYPED, SPACE, LOWER, TYPOS = "as typed", "a space at the end", "lower case", "letters swapped"


@dataclass(frozen=True, slots=True)
class Continued:
    """A text and what may come next: the likeliest token, and how likely that token is that was likeliest before any
    change."""

    name: str
    text: str
    tokens: int
    best: str
    p_best: float
    p: float
    unseated: bool


def changed(text: str) -> Iterator[tuple[str, str]]:
    """Names of changes and the changed texts, leaving out those that change nothing."""
    found = {
        SPACE: text + " ",
        "two spaces inside": text.replace(" ", "  ", 1),
        LOWER: text.lower(),
        TYPOS: " ".join(map(_typo, text.split(" "))),
        "capitals": text.upper(),
    }
    yield AS_TYPED, text
    yield from ((name, other) for name, other in found.items() if other != text)


def _typo(word: str) -> str:
    """Two letters in the middle of a long word change places."""
    if len(word) < LONG_WORD:
        return word
    n = (len(word) - 1) // 2
    return word[:n] + word[n + 1] + word[n] + word[n + 2 :]


def continuations(engine: Engine, prompt: str) -> Iterator[Continued]:
    """What comes next after the prompt, then after each change of it."""
    first = -1
    for name, text in changed(prompt):
        ids = engine.encode(text)
        p = engine.logits(ids, 1)[-1].softmax(-1)
        best = int(p.argmax())
        first = best if first < 0 else first
        yield Continued(name, text, len(ids), engine.token_text(best), float(p[best]), float(p[first]), best != first)


def chances(found: list[Continued]) -> Bars:
    title = f"chance of {spelt(found[0].best)} after “{spaced(found[0].text)}”"
    labels, values = tuple(one.name for one in found), tuple(one.p for one in found)
    return Bars(title, labels, values, "probability", 0, (0, 1))


def what_instead(found: list[Continued]) -> Table:
    rows = tuple((spaced(one.text), one.tokens, spaced(one.best), percent(one.p_best)) for one in found)
    return Table("the likeliest next token", ("text", "tokens", "likeliest", "chance"), rows, 0)
