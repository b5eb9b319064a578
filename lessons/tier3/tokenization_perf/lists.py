"""How long the list of merges should be: fewer tokens against more rows to read for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

from llm_holes.engine.engine import Engine
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.work import Work
from llm_holes.lessons.shared.counts import element_bytes, weight_bytes

SIZES = (0, 256, 4096, 16384)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model would read to write the text, had its list only the first `merges`: bytes, by where they lie."""

    merges: int
    tokens: int
    rows: int
    layers: int
    table: int

    @property
    def nbytes(self) -> int:
        return self.layers + self.table


def readings(engine: Engine, bpe: BPE, text: str, depth: int) -> Iterator[Reading]:
    """The first n merges of the list for growing n, all of them last, in a model with `depth` times the layers of this
    one. Each token is a pass that reads all layers and, to choose, every row of the table. Raises Cancelled."""
    words = Counter(bpe.words(text))
    row = element_bytes(engine) * engine.model.config.d_model
    layers = weight_bytes(engine) - row * engine.model.config.d_vocab
    for merges in (*(size for size in SIZES if size < len(bpe.merges)), len(bpe.merges)):
        engine.model.reached(Work("merge", merges, len(bpe.merges)))
        shorter = first_merges(bpe, merges)
        tokens = sum(count * len(shorter.encode_word(word)) for word, count in words.items())
        rows = engine.model.config.d_vocab - len(pieces_lost(bpe, merges))
        yield Reading(merges, tokens, rows, tokens * depth * layers, tokens * rows * row)


def first_merges(bpe: BPE, count: int) -> BPE:
    """The same tokenizer with only the merges that were learnt first."""
    shorter = copy(bpe)
    shorter.merges = {pair: merge for pair, merge in bpe.merges.items() if merge[0] < count}
    shorter.words_first = bpe.words_first and count >= len(bpe.merges)
    return shorter


def pieces_lost(bpe: BPE, count: int) -> set[int]:
    """The ids that only later merges make."""
    kept = {token for rank, token in bpe.merges.values() if rank < count}
    return {token for rank, token in bpe.merges.values() if rank >= count} - kept


def least(found: list[Reading]) -> Reading:
    """The one that reads the least; of equals the one with the shortest list."""
    return min(found, key=lambda reading: (reading.nbytes, reading.merges))
