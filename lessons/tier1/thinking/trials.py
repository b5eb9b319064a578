"""Five kinds of notes over many small sums: how often the right answer follows each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.continuations import Start, greedy_continuations, read, score_continuations
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.proportion import wilson
from llm_holes.lessons.tier1.thinking.sums import ANSWER, MISTAKE, NOTES, Sum

KINDS = ("none", "its own", "correct", "correct but for the end", "one mistake", "filler")


@dataclass(frozen=True, slots=True)
class Rate:
    """Of this many trials the answer was the right one; `followed` counts the one the planted mistake leads to."""

    kind: str
    trials: int
    right: int
    mean_p: float
    followed: int = 0

    @property
    def between(self) -> tuple[float, float]:
        return wilson(self.right, self.trials)


def rates(
    engine: Engine, start: ContiguousCache, rest: Sequence[list[int]], sums: Sequence[Sum], filler: str, limit: int
) -> Iterator[Rate]:
    """One rate per kind of notes, the same sums for each; `rest` is what each question adds to what `start` holds."""
    model, encode = engine.model, engine.tokenizer.encode
    answer = encode(f"\n{ANSWER}")
    asked = read(model, start, rest)

    def finished(openings: Sequence[list[int]]) -> list[list[int]]:
        """Each opening with what the model adds to it, up to a new line."""
        added = greedy_continuations(model, asked, openings, limit, lambda token: ends_notes(engine, token))
        return [opening + ids + answer for opening, ids in zip(openings, added, strict=True)]

    notes = {
        "none": lambda: [encode(ANSWER) for _ in sums],
        "its own": lambda: finished([encode(NOTES) for _ in sums]),
        "correct": lambda: [encode(f"{NOTES} {s.steps()}\n{ANSWER}") for s in sums],
        "correct but for the end": lambda: finished([encode(f"{NOTES} {s.unfinished}") for s in sums]),
        "one mistake": lambda: [encode(f"{NOTES} {s.steps(MISTAKE)}\n{ANSWER}") for s in sums],
        "filler": lambda: [
            encode(NOTES) + padding(engine, filler, len(encode(f" {s.steps()}"))) + answer for s in sums
        ],
    }
    for kind in KINDS if sums else ():
        begun, texts, followed = asked, notes[kind](), 0
        if kind == "one mistake":  # two answers to look for, so the notes are read once
            begun, texts = read(model, asked, [text[:-1] for text in texts]), [text[-1:] for text in texts]
            followed = sum(_answers(engine, begun, texts, [s.total + MISTAKE for s in sums])[0])
        right, p = _answers(engine, begun, texts, [s.total for s in sums])
        yield Rate(kind, len(sums), sum(right), sum(p) / len(p), followed)


def _answers(
    engine: Engine, start: Start, texts: Sequence[list[int]], wanted: Sequence[int]
) -> tuple[list[bool], list[float]]:
    """For each text whether the wanted number is what the model answers, and its probability."""
    found = score_continuations(
        engine.model, start, texts, [engine.tokenizer.encode(f" {number}") for number in wanted]
    )
    return [s.chosen and not goes_on(engine, s.after) for s in found], [s.p for s in found]


def padding(engine: Engine, filler: str, count: int) -> list[int]:
    """The filler again and again, exactly `count` tokens."""
    ids = engine.tokenizer.encode(f" {filler.strip() or '.'}")
    return (ids * (count // len(ids) + 1))[:count]


def ends_notes(engine: Engine, token: int) -> bool:
    return token in engine.tokenizer.eos_ids or "\n" in engine.token_text(token)


def goes_on(engine: Engine, token: int) -> bool:
    """Whether the token continues a number or word: after 2, a 0 makes another answer of it."""
    return engine.token_text(token)[:1].isalnum()
