"""A vocabulary learnt from a text while you look: which pairs come first, and how the text shrinks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Curve, View, series
from llm_holes.engine.tokenizer.bpe_train import Learnt, train
from llm_holes.lessons.tier2.tokenization.merge_views import spelt

SHOWN = 30
EVERY = 10


def learnt_in_parts(engine: Engine, words: Sequence[bytes], merges: int) -> Iterator[list[Learnt]]:
    """What was learnt so far, after every few merges and at the end. Raises Cancelled."""
    learnt: list[Learnt] = []
    for piece in train(words, merges):
        if engine.model.is_cancelled():
            raise Cancelled
        learnt.append(piece)
        if len(learnt) % EVERY == 0:
            yield learnt
    yield learnt


def learning_views(where: str, before: int, learnt: Sequence[Learnt]) -> dict[str, View]:
    """The first pieces with the count that made each of them the next, and how the text shrinks."""
    shown = learnt[:SHOWN]
    labels = tuple(f"{n}. {spelt(x.left)} + {spelt(x.right)}" for n, x in enumerate(shown, 1))
    sizes = [before, *(x.pieces for x in learnt)]
    return {
        "learnt_just_now": Bars(
            f"pieces learnt from {where}", labels, tuple(float(x.count) for x in shown), "how often"
        ),
        "the_text_shrinks": Curve(
            "the text gets shorter", (series("pieces", range(len(sizes)), sizes),), "merges learnt", "pieces"
        ),
    }
