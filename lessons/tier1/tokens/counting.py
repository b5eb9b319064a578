"""The model is asked how often a letter is in a word, whose letters it does not see."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Text
from llm_holes.engine.numbers import index, plural
from llm_holes.engine.spelling import spaced

if TYPE_CHECKING:
    from llm_holes.engine.engine import Engine

ANSWER_TOKENS = 24
WORDS = {"no": 0, "zero": 0, "once": 1, "one": 1, "twice": 2, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


@dataclass(frozen=True, slots=True)
class Count:
    """The letter asked for is the most frequent one of the word; `said` is the number in the answer, if it has one."""

    word: str
    letter: str
    times: int
    pieces: tuple[str, ...]
    ids: tuple[int, ...]
    answer: str
    said: int | None

    @property
    def right(self) -> bool:
        return self.said == self.times


def counted(engine: Engine, typed: str) -> Count:
    """Asks about the first word of what was typed. Raises InputError if there is none."""
    word, letter, times, question = asked_of(typed)
    answer = engine.write(engine.chat(question, ANSWER_TOKENS), ANSWER_TOKENS).strip()
    ids = tuple(engine.tokenizer.encode(f" {word}"))
    return Count(word, letter, times, tuple(map(engine.token_text, ids)), ids, answer, number_in(answer))


def asked_of(typed: str) -> tuple[str, str, int, str]:
    """The first word of what was typed, its most frequent letter, how often that is in it, and the question. Raises
    InputError if there is no word."""
    if not typed.split():
        raise InputError("the word is empty", "Type a word.")
    word = typed.split()[0]
    letter, times = Counter(word.lower()).most_common(1)[0]
    return word, letter, times, f"How many times does the letter {letter} appear in the word {word}?"


def number_in(answer: str) -> int | None:
    """The first number, in digits or as a word."""
    for found in re.findall(r"\d+|[a-z]+", answer.lower()):
        if found.isdigit() or found in WORDS:
            return int(found) if found.isdigit() else WORDS[found]
    return None


def asked(found: Count) -> Text:
    letters = (f"[{x}]" if x.lower() == found.letter else x for x in found.word)
    lines = (
        f"asked:    How many times does the letter {found.letter} appear in the word {found.word}?",
        f"answered: {found.answer}",
        "",
        f"you see:  {' '.join(letters)}   {plural(found.times, 'time')}",
        f"it gets:  {'  '.join(map(index, found.ids))}",
        f"which is: {'  '.join(map(spaced, found.pieces))}",
    )
    return Text("asked to count letters", "\n".join(lines))
