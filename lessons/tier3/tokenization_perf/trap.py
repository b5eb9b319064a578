"""The learner's text with nothing between its letters: how much work the obvious way of merging makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial

from llm_holes.engine.engine import Engine
from llm_holes.engine.measure import Timing
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import steps
from llm_holes.engine.work import Work
from llm_holes.lessons.shared.in_turn import in_turn
from llm_holes.lessons.tier3.tokenization_perf.race import PYTHON, REPEATS, Encode, of_size

SIZES = tuple(range(100, 601, 100))
"""Bytes of the texts that are counted."""
OBVIOUS, HEAP, AS_IT_IS = "the obvious way", "with a heap", "the text as it is"
TEXT, TRAP, HALF = "text as it is", "in the trap", "half the trap"
Merging = Callable[[BPE, bytes], Sequence[int]]


class Asked(dict[tuple[int, int], tuple[int, int]]):
    """The list of merges; it counts how often it is asked whether a pair is in it."""

    times = 0

    def __contains__(self, pair: object) -> bool:
        self.times += 1
        return super().__contains__(pair)


@dataclass
class Trap:
    """The text that is taken apart, and by the bytes of it how often the list is asked, in each of three ways. A space
    stands after `every` so many letters, if it is not 0."""

    every: int
    text: str
    asked: dict[str, dict[int, int]] = field(default_factory=lambda: {OBVIOUS: {}, AS_IT_IS: {}, HEAP: {}})

    def bait(self, size: int) -> str:
        """So many bytes of letters with nothing between them but the spaces that are asked for."""
        run = of_size(letters_of(self.text), size)
        return " ".join(run[at : at + self.every] for at in range(0, len(run), self.every)) if self.every else run

    def longest_word(self, bpe: BPE) -> int:
        """How many bytes of the trap no cut goes through."""
        return max(map(len, bpe.words(self.bait(SIZES[-1]))))

    @property
    def doubled(self) -> float:
        """How many times as often the obvious way asks for twice the text."""
        asked = self.asked[OBVIOUS]
        half, whole = asked[SIZES[-1] // 2], asked[SIZES[-1]]
        return whole / half if half else 1.0


def letters_of(text: str) -> str:
    """The letters alone: what the first cut makes one word of. Where there are none, all but the spaces; where there is
    nothing else, the spaces."""
    return "".join(filter(str.isalpha, text)) or "".join(text.split()) or text


def obvious(bpe: BPE, word: bytes) -> Sequence[int]:
    """Does every merge of the word, looking at all its pairs for each."""
    pieces: Sequence[int] = [bpe.vocabulary[word]] if bpe.whole(word) else bpe.spelt(word)
    for merge in steps(bpe, word):
        pieces = merge.pieces
    return pieces


def set_trap(engine: Engine, bpe: BPE, trap: Trap) -> Iterator[None]:
    """Counts for one size after the other. Raises Cancelled."""
    counting = copy(bpe)
    asked = counting.merges = Asked(bpe.merges)

    def count(merging: Merging, text: str) -> int:
        asked.times = 0
        for word in bpe.words(text):
            merging(counting, word)
        return asked.times

    for size in SIZES:
        engine.model.reached(Work("byte", size, SIZES[-1]))
        trap.asked[OBVIOUS][size] = count(obvious, trap.bait(size))
        trap.asked[AS_IT_IS][size] = count(obvious, of_size(trap.text, size))
        trap.asked[HEAP][size] = count(BPE.encode_word, trap.bait(size))
        yield


def encode_obviously(bpe: BPE, text: str) -> list[int]:
    return [piece for word in bpe.words(text) for piece in obvious(bpe, word)]


def slower(times: Mapping[tuple[str, str], Timing], program: str) -> float:
    """How many times as long the program takes in the trap as for the text as it is."""
    return times[program, TRAP].fastest / times[program, TEXT].fastest


def time_trap(
    engine: Engine, bpe: BPE, encoders: Mapping[str, Encode], trap: Trap
) -> tuple[dict[tuple[str, str], Timing], dict[str, float]]:
    """Each program over the text as it is and as many bytes of the trap, in turn; and how many times as long
    the obvious way and the heap take for the whole as for half. Raises Cancelled."""
    whole, half = SIZES[-1], SIZES[-1] // 2
    programs: dict[str, Encode] = {**encoders, OBVIOUS: partial(encode_obviously, bpe)}
    texts = {TEXT: of_size(trap.text, whole), TRAP: trap.bait(whole), HALF: trap.bait(half)}
    works = {(name, kind): partial(encode, text) for name, encode in programs.items() for kind, text in texts.items()}
    times: dict[tuple[str, str], Timing] = {}
    for number, found in enumerate(in_turn(works, lambda _: REPEATS), 1):
        engine.model.reached(Work("round", number, REPEATS))
        times = found
    doubled = {name: times[name, TRAP].fastest / times[name, HALF].fastest for name in (OBVIOUS, PYTHON)}
    return times, doubled
