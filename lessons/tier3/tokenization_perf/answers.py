"""One prompt and one answer, cut in two ways: how long the cutting, the reading and the writing take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import fsum

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.lessons.tier3.tokenization_perf.race import of_size

PROMPT_TOKENS, ANSWER_TOKENS = 16, 5
PROMPT_BYTES, ANSWER_BYTES = 120, 40
"""Where tokens are long, as with spaces, there are fewer: each byte is a pass."""
CUTS = READS = 5
ROOM = 512
"""Places in a cache to begin with, so that it need not grow while a pass is timed."""


@dataclass
class Cut:
    """The beginning of a text, which is the prompt; its pieces and those of the answer; and the ms of each time it was
    cut or read, and of each pass that wrote."""

    name: str
    cut: Callable[[str], list[int]]
    beginning: str
    prompt: list[int]
    answer: list[int] = field(default_factory=list)
    cutting: list[float] = field(default_factory=list)
    reading: list[float] = field(default_factory=list)
    writing: list[float] = field(default_factory=list)
    cache: ContiguousCache = field(init=False)
    logits: Tensor = field(init=False)

    def read(self, engine: Engine) -> None:
        """One pass over the prompt, from the start."""
        self.cache = ContiguousCache(engine.model.config, ROOM)
        self.logits, ms = timed(last_logits, engine.model, engine.fits(self.prompt, ANSWER_TOKENS), self.cache)
        self.reading.append(ms)

    def write(self, engine: Engine, piece: int) -> None:
        """One pass over a piece of the answer."""
        self.logits, ms = timed(last_logits, engine.model, [piece], self.cache)
        self.answer.append(piece)
        self.writing.append(ms)

    @property
    def pieces(self) -> int:
        return len(self.prompt) + len(self.answer)

    @property
    def cut_ms(self) -> float:
        return min(self.cutting)

    @property
    def model_ms(self) -> float:
        return min(self.reading) + fsum(self.writing)


def both_cuts(engine: Engine, bpe: BPE, text: str) -> tuple[Cut, Cut]:
    """The beginning of the text as tokens and as single bytes."""

    def as_bytes(text: str) -> list[int]:
        return [piece for word in bpe.words(text) for piece in bpe.spelt(word)]

    ids = engine.tokenizer.encode(of_size(text, 1000))[:PROMPT_TOKENS]
    while len(ids) > 1 and sum(len(engine.tokenizer.token_bytes(token)) for token in ids) > PROMPT_BYTES:
        ids.pop()
    start = engine.tokenizer.decode(ids)
    # the last token may end inside a character, which then reads as this sign
    beginning = start.rstrip("\N{REPLACEMENT CHARACTER}") or start
    tokens = Cut("as tokens", engine.tokenizer.encode, beginning, engine.tokenizer.encode(beginning))
    return tokens, Cut("as single bytes", as_bytes, beginning, as_bytes(beginning))


def answered(engine: Engine, bpe: BPE, text: str) -> Iterator[tuple[Cut, Cut]]:
    """Both cuts read in turn, then a few tokens written and, as bytes, the same again; a pause after each token."""
    tokens, single = both = both_cuts(engine, bpe, text)
    for _ in range(CUTS):
        for way in both:
            way.cutting.append(timed(way.cut, way.beginning)[1])
    for _ in range(READS):
        for way in both:
            way.read(engine)
            yield both
    while len(tokens.answer) < ANSWER_TOKENS and len(single.answer) < ANSWER_BYTES:
        token = _of_text(engine, tokens.logits)
        tokens.write(engine, token)
        for piece in bpe.spelt(engine.tokenizer.token_bytes(token)):
            single.write(engine, piece)
        yield both


def _of_text(engine: Engine, logits: Tensor) -> int:
    """The likeliest token that is a piece of text, not the end or another sign of control."""
    allowed = logits[: engine.tokenizer.vocabulary].clone()
    allowed[sorted(engine.tokenizer.special_ids)] = -torch.inf
    return int(allowed.argmax())
