"""Three tokenizers with one vocabulary: what making and first using each takes, and how fast they cut a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.measure import Timing, timed
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.tiktoken_bridge import Twin
from llm_holes.engine.tokenizer.tokenizer import Tokenizer
from llm_holes.engine.work import Work
from llm_holes.lessons.shared.in_turn import in_turn

Encode = Callable[[str], list[int]]
REPEATS = 5
TIKTOKEN, LIBRARY, PYTHON = "tiktoken", "HF tokenizers", "our Python"


@dataclass
class Race:
    """So far: the tokenizers by name, what making and first using each took (ms), the times of every size (bytes)."""

    encoders: dict[str, Encode] = field(default_factory=dict)
    cold: dict[str, tuple[float, float]] = field(default_factory=dict)
    warm: dict[str, dict[int, Timing]] = field(default_factory=dict)
    equal: bool = True
    tokens: int = 0

    def mb_per_s(self, name: str) -> float:
        """Megabytes of the largest text so far, by the fastest run."""
        size, timing = list(self.warm[name].items())[-1]
        return size / timing.fastest / 1e3


def tokenizers_afresh(engine: Engine, text: str) -> tuple[Race, BPE]:
    """Each made afresh, so that the first call finds nothing prepared."""
    race, folder = Race(), engine.files.folder
    library, library_ms = timed(Tokenizer.load, folder)
    bpe, bpe_ms = timed(BPE.load, folder)
    twin, twin_ms = timed(Twin, bpe)
    race.encoders = {TIKTOKEN: twin.encode, LIBRARY: library.encode, PYTHON: bpe.encode}
    sample = of_size(text, 1000)
    for (name, encode), made in zip(race.encoders.items(), (twin_ms, library_ms, bpe_ms), strict=True):
        ids, first = timed(encode, sample)
        if not ids:
            raise InputError("nothing in this text has a token", "Type a letter.")
        race.cold[name] = (made, first)
        race.warm[name] = {}
    return race, bpe


def of_size(text: str, size: int) -> str:
    """The text over and over, cut to about this many bytes of whole characters."""
    data = text.encode()
    return (data * (1 + size // len(data)))[:size].decode("utf-8", "ignore")


def time_size(engine: Engine, race: Race, text: str) -> None:
    """The three in turn over one text, and whether they gave the same tokens. Raises Cancelled."""
    found: dict[str, list[int]] = {}
    for number, (name, encode) in enumerate(race.encoders.items(), 1):
        engine.model.reached(Work("tokenizer", number, len(race.encoders)))
        found[name] = encode(text)
    engine.model.reached(Work("round", 0, REPEATS))
    works = {name: partial(encode, text) for name, encode in race.encoders.items()}
    for number, times in enumerate(in_turn(works, lambda _: REPEATS), 1):
        engine.model.reached(Work("round", number, REPEATS))
        for name, timing in times.items():
            race.warm[name][len(text.encode())] = timing
    first, *others = found.values()
    race.equal &= all(ids == first for ids in others)
    race.tokens = len(found[LIBRARY])
