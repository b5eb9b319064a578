"""Steps through the merges that cut the learner's text, beside the longest match, and learns a vocabulary live."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Frame, Table
from llm_holes.engine.numbers import plural
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import longest_match
from llm_holes.engine.tokenizer.bpe_train import Learnt, train
from llm_holes.engine.tokenizer.tiktoken_bridge import Twin
from llm_holes.lessons.shared.pace import pause
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier2.tokenization.merge_views import (
    learning_views,
    piece_text,
    pieces,
    stepper_views,
    word_table,
)

EVERY = 10
PLAYED = 100
EXAMPLES = "The pothole by the seashore is unthinkable. "


@lru_cache(maxsize=1)
def bpe_of(folder: str) -> BPE:
    return BPE.load(folder)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.fits(engine.tokenizer.encode(p["text"]))
    bpe = bpe_of(engine.files.folder)
    words = bpe.words(p["text"])
    cuts = [bpe.encode_word(word) for word in words]
    longest = [longest_match(bpe, word) for word in words]
    differ = [i for i, (cut, other) in enumerate(zip(cuts, longest, strict=True)) if cut != other]
    spelt = [bpe.spelt(word) for word in words]
    example = next((words[i] for i in differ), None) or _example(bpe)
    report = Report()
    report.measure(
        pre_tokens=len(words),
        bytes=sum(map(len, words)),
        bytes_dropped=sum(map(len, words)) - sum(map(len, spelt)),
        merges_applied=sum(
            len(a) - len(b) for word, a, b in zip(words, spelt, cuts, strict=True) if not bpe.whole(word)
        ),
        token_ids=ids,
        matches_reference_tokenizer=[i for cut in cuts for i in cut] == ids,
        matches_tiktoken=_same_in_tiktoken(bpe, p["text"], ids),
        greedy_longest_match_differs=bool(differ),
        words_cut_differently=len(differ),
        example_real=pieces(engine, bpe.encode_word(example)),
        example_longest=pieces(engine, longest_match(bpe, example)),
    )
    table = word_table(engine, words, cuts, longest)
    if p["play"]:
        yield from _played(engine, bpe, words, report, table)
    views = {**stepper_views(engine, bpe, words, p["step"], report), "real_and_longest": table}
    report.say(_caption(report.measured))
    report.show(**views)
    yield report.frame(0.2)

    corpus = p["corpus"] or passage()
    learnt: list[Learnt] = []
    before = sum(map(len, bpe.words(corpus)))
    for piece in train(bpe.words(corpus), p["train_merges"]):
        if engine.model.is_cancelled():
            raise Cancelled
        learnt.append(piece)
        if len(learnt) % EVERY == 0:
            report.show(**views, **learning_views(p, before, learnt))
            yield report.frame(0.2 + 0.8 * len(learnt) / p["train_merges"])
    report.measure(
        trained_merges=len(learnt),
        trained_pieces_before=before,
        trained_pieces_after=learnt[-1].pieces if learnt else before,
        trained_longest_piece=piece_text(max((x.left + x.right for x in learnt), key=len, default=b"")),
    )
    report.show(**views, **learning_views(p, before, learnt))
    yield report.frame()


def _played(engine: Engine, bpe: BPE, words: Sequence[bytes], report: Report, table: Table) -> Iterator[Frame]:
    """One frame after each of the first merges, at a pace the eye can follow."""
    for step in range(PLAYED):
        report.show(**stepper_views(engine, bpe, words, step, report), real_and_longest=table)
        total = report.measured["steps"]
        report.say(f"After {step} of {plural(total, 'merge')}.")
        yield report.frame(0.2 * step / PLAYED)
        if step >= total:
            return
        pause(engine)


def _example(bpe: BPE) -> bytes:
    """A word that longest match cuts differently, from the passage if not from the learner's text."""
    found = (word for word in bpe.words(EXAMPLES + passage()) if bpe.encode_word(word) != longest_match(bpe, word))
    return next(found, b"")


def _same_in_tiktoken(bpe: BPE, text: str, ids: Sequence[int]) -> bool | str:
    try:
        return Twin(bpe).encode(text) == ids
    except InputError:
        return "it cannot cut words as this model does"


def _caption(m: Mapping[str, Any]) -> str:
    parts = (plural(m["bytes"], "byte"), plural(m["pre_tokens"], "word"), plural(m["merges_applied"], "merge"))
    return f"{', '.join(parts)}: {plural(len(m['token_ids']), 'token')}."
