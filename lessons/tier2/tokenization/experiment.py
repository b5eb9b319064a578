"""Steps through the merges that cut the learner's text, beside the longest match, and learns a vocabulary live."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Curve, Frame, Scalar, Table, Tokens, View, series
from llm_holes.engine.numbers import plural
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import Merge, longest_match, steps
from llm_holes.engine.tokenizer.bpe_train import Learnt, train
from llm_holes.engine.tokenizer.tiktoken_bridge import Twin
from llm_holes.lessons.shared.passage import NAME, passage
from llm_holes.lessons.shared.report import Report

STEPPED_BYTES = 1000
WINDOW = 8
SHOWN_WORDS = 16
SHOWN_LEARNT = 14
EVERY = 10
PLAYED = 100
PACE_SECONDS = 0.15
EXAMPLES = "The pothole by the seashore is unthinkable. "


@dataclass(frozen=True, slots=True)
class Step:
    """One merge of the run: in which word, and what it did."""

    word: int
    merge: Merge


@lru_cache(maxsize=1)
def bpe_of(folder: str) -> BPE:
    return BPE.load(folder)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"])
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
        example_real=_pieces(engine, bpe.encode_word(example)),
        example_longest=_pieces(engine, longest_match(bpe, example)),
    )
    table = _words(engine, words, cuts, longest)
    if p["play"]:
        yield from _played(engine, bpe, words, report, table)
    views = (*_stepper(engine, bpe, words, p["step"], report), table)
    report.say(_caption(report.measured))
    report.show(*views)
    yield report.frame(0.2)

    corpus = p["corpus"] or passage()
    learnt: list[Learnt] = []
    before = sum(map(len, bpe.words(corpus)))
    for piece in train(bpe.words(corpus), p["train_merges"]):
        if engine.model.is_cancelled():
            raise Cancelled
        learnt.append(piece)
        if len(learnt) % EVERY == 0:
            report.show(*views, *_learning(p, before, learnt))
            yield report.frame(0.2 + 0.8 * len(learnt) / p["train_merges"])
    report.measure(
        trained_merges=len(learnt),
        trained_pieces_before=before,
        trained_pieces_after=learnt[-1].pieces if learnt else before,
        trained_longest_piece=_text(max((x.left + x.right for x in learnt), key=len, default=b"")),
    )
    report.show(*views, *_learning(p, before, learnt))
    yield report.frame()


def _played(engine: Engine, bpe: BPE, words: Sequence[bytes], report: Report, table: Table) -> Iterator[Frame]:
    """One frame after each of the first merges, at a pace the eye can follow."""
    for step in range(PLAYED):
        report.show(*_stepper(engine, bpe, words, step, report), table)
        total = report.measured["steps"]
        report.say(f"After {step} of {plural(total, 'merge')}.")
        yield report.frame(0.2 * step / PLAYED)
        if step >= total:
            return
        until = time.monotonic() + PACE_SECONDS
        while time.monotonic() < until:
            if engine.model.is_cancelled():
                raise Cancelled
            time.sleep(0.02)


def _stepper(engine: Engine, bpe: BPE, words: Sequence[bytes], wanted: int, report: Report) -> tuple[View, ...]:
    """The first words' pieces after `wanted` merges (-1: all), and the merges around that place."""
    shown = 0
    while shown < len(words) and sum(map(len, words[: shown + 1])) <= STEPPED_BYTES:
        shown += 1
    begin = words[:shown] or [words[0][:STEPPED_BYTES]]
    done = [Step(i, merge) for i, word in enumerate(begin) for merge in steps(bpe, word)]
    at = len(done) if wanted < 0 else min(wanted, len(done))
    report.measure(step=at, steps=len(done))
    state = {i: tuple(bpe.encode_word(word) if bpe.whole(word) else bpe.spelt(word)) for i, word in enumerate(begin)}
    state |= {step.word: step.merge.pieces for step in done[:at]}
    ids = [i for pieces in state.values() for i in pieces]
    made = done[at - 1].merge.token if at else None
    rest = "" if shown == len(words) else ", the beginning of the text"
    title = f"after {at:,} of {plural(len(done), 'merge')}{rest}"
    strip = Tokens(title, engine.tokens(ids), tuple(float(i == made) for i in ids), "just made")
    if not done:
        return (strip,)
    first = max(0, min(at - WINDOW // 2, len(done) - WINDOW))
    rows = tuple(_row(engine, n, done[n - 1]) for n in range(first + 1, len(done) + 1)[:WINDOW])
    columns = ("merge", "word", "left", "right", "rank", "the word after it")
    return strip, Table("which pair, in the order it was learnt (rank)", columns, rows, at - 1 - first if at else None)


def _row(engine: Engine, number: int, step: Step) -> tuple[Scalar, ...]:
    merge = step.merge
    left, right = (_pieces(engine, [i]) for i in (merge.left, merge.right))
    return number, step.word + 1, left, right, merge.rank, _pieces(engine, merge.pieces)


def _words(engine: Engine, words: Sequence[bytes], cuts: Sequence[list[int]], longest: Sequence[list[int]]) -> Table:
    """The words where the longest match is wrong first, then the others."""
    order = sorted(range(len(words)), key=lambda i: cuts[i] == longest[i])[:SHOWN_WORDS]
    rows = tuple(
        (
            i + 1,
            len(words[i]),
            _pieces(engine, cuts[i]),
            _pieces(engine, longest[i]),
            "≠" if cuts[i] != longest[i] else "",
        )
        for i in order
    )
    return Table("words: the real cut and the longest match", ("word", "bytes", "real", "longest match", ""), rows)


def _example(bpe: BPE) -> bytes:
    """A word that longest match cuts differently, from the passage if not from the learner's text."""
    found = (word for word in bpe.words(EXAMPLES + passage()) if bpe.encode_word(word) != longest_match(bpe, word))
    return next(found, b"")


def _same_in_tiktoken(bpe: BPE, text: str, ids: Sequence[int]) -> bool | str:
    try:
        return Twin(bpe).encode(text) == ids
    except InputError:
        return "it cannot cut words as this model does"


def _learning(p: Mapping[str, Any], before: int, learnt: Sequence[Learnt]) -> tuple[View, ...]:
    where = "your text" if p["corpus"] else NAME
    start = max(0, len(learnt) - SHOWN_LEARNT)
    rows = tuple(
        (n + 1, _text(x.left), _text(x.right), x.count, _text(x.left + x.right), x.pieces)
        for n, x in enumerate(learnt[start:], start)
    )
    columns = ("merge", "left", "right", "how often", "new piece", "pieces in the text")
    sizes = [before, *(x.pieces for x in learnt)]
    curve = Curve("the text gets shorter", (series("pieces", range(len(sizes)), sizes),), "merges learnt", "pieces")
    return (Table(f"a vocabulary learnt just now from {where}", columns, rows), curve) if learnt else ()


def _pieces(engine: Engine, ids: Sequence[int]) -> str:
    return "|".join(_text(engine.tokenizer.token_bytes(i)) for i in ids)


def _text(data: bytes) -> str:
    """The piece as text, or its bytes where it is no text by itself."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.hex(" ")


def _caption(m: Mapping[str, Any]) -> str:
    parts = (plural(m["bytes"], "byte"), plural(m["pre_tokens"], "word"), plural(m["merges_applied"], "merge"))
    text = f"{', '.join(parts)}: {plural(len(m['token_ids']), 'token')}."
    if m["words_cut_differently"]:
        return f"{text} Longest match would cut {m['words_cut_differently']:,} of the words differently."
    return f"{text} Longest match would cut every word the same here."
