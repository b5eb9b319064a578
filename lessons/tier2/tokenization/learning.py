"""A vocabulary learnt from a text while you look: which pairs come first, and how the text shrinks. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Curve, View, series
from llm_holes.engine.tokenizer.bpe_train import Learnt, train
from llm_holes.lessons.tier2.tokenization.words import spelt

SHOWN = 30
EVERY = 10


def learnt_in_parts(
    words: Sequence[bytes], merges: int, is_cancelled: Callable[[], bool] = lambda: False
) -> Iterator[list[Learnt]]:
    """What was learnt so far, after every few merges and at the end. Raises Cancelled."""
    learnt: list[Learnt] = []
    for piece in train(words, merges):
        if is_cancelled():
            raise Cancelled
        learnt.append(piece)
        if len(learnt) % EVERY == 0:
            yield learnt
    yield learnt


def learning_measured(before: int, learnt: Sequence[Learnt]) -> dict[str, Any]:
    """What is said of it, where the text had `before` bytes."""
    longest = max((x.left + x.right for x in learnt), key=len, default=b"")
    return {
        "trained_merges": len(learnt),
        "trained_pieces_before": before,
        "trained_pieces_after": learnt[-1].pieces if learnt else before,
        "trained_longest_piece": spelt(longest),
        "trained_first_piece": spelt(learnt[0].left + learnt[0].right) if learnt else "",
    }


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
