"""Pictures of one word being merged into tokens."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Join, MergeTree, Table
from llm_holes.engine.numbers import count
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import Merge, steps
from llm_holes.lessons.tier2.tokenization.words import spelt

TREE_BYTES = 64
ABSENT = "not on the list"


@dataclass(frozen=True, slots=True)
class Tree:
    """A word of the text, or its beginning if it is long: the pieces it starts from and the merges it goes through."""

    number: int
    data: bytes
    cut_off: bool
    start: tuple[int, ...]
    merges: tuple[Merge, ...]

    @classmethod
    def of(cls, bpe: BPE, number: int, word: bytes) -> Tree:
        data = word[:TREE_BYTES]
        start = (bpe.vocabulary[data],) if bpe.whole(data) else tuple(bpe.spelt(data))
        return cls(number, data, len(word) > TREE_BYTES, start, tuple(steps(bpe, data)))

    @property
    def name(self) -> str:
        return spelt(self.data) + ("…" if self.cut_off else "")

    @property
    def tokens(self) -> tuple[int, ...]:
        return self.after(len(self.merges))

    def after(self, done: int) -> tuple[int, ...]:
        """The pieces once so many merges are done."""
        return self.merges[done - 1].pieces if done else self.start

    def joins(self) -> tuple[Join, ...]:
        """The merges between numbered nodes, as `MergeTree` has them."""
        nodes, found = list(range(len(self.start))), []
        for n, merge in enumerate(self.merges):
            before, after = self.after(n), merge.pieces
            at = next(i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
            found.append(Join(nodes[at], nodes[at + 1], merge.rank + 1))
            nodes[at : at + 2] = [len(self.start) + n]
        return tuple(found)


def merge_tree(engine: Engine, tree: Tree, done: int) -> MergeTree:
    return MergeTree(f"how “{tree.name}” is put together", engine.tokens(tree.start), tree.joins(), done)


def pairs_now(engine: Engine, bpe: BPE, tree: Tree, done: int) -> Table:
    """Every two neighbours after `done` merges, with the place their pair has in the list; the next to join is
    marked."""
    pieces = tree.after(done)
    places = [bpe.merges.get(pair) for pair in pairwise(pieces)]
    known = [place for place in places if place is not None]
    marked = places.index(min(known)) if known and not bpe.whole(tree.data) else None
    word = " ".join(piece(engine, i) for i in pieces)
    rows = tuple(
        (
            piece(engine, left),
            piece(engine, right),
            ABSENT if place is None else count(place[0] + 1),
            "joins next" if n == marked else "",
        )
        for n, ((left, right), place) in enumerate(zip(pairwise(pieces), places, strict=True))
    )
    return Table(f"neighbours in “{word}”", ("left", "right", "place in the list", ""), rows, marked)


def piece(engine: Engine, token: int) -> str:
    return spelt(engine.tokenizer.token_bytes(token))
