"""Pictures of a text being merged into tokens, and of a vocabulary being learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Scalar, Table, Tokens, View, series
from llm_holes.engine.numbers import plural
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import Merge, steps
from llm_holes.engine.tokenizer.bpe_train import Learnt
from llm_holes.lessons.shared.passage import NAME
from llm_holes.lessons.shared.report import Report

STEPPED_BYTES = 1000
WINDOW = 8
SHOWN_WORDS = 16
SHOWN_LEARNT = 14


@dataclass(frozen=True, slots=True)
class Step:
    """One merge of the run: in which word, and what it did."""

    word: int
    merge: Merge


def stepper_views(engine: Engine, bpe: BPE, words: Sequence[bytes], wanted: int, report: Report) -> dict[str, View]:
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
        return {"the_pieces": strip}
    first = max(0, min(at - WINDOW // 2, len(done) - WINDOW))
    rows = tuple(row(engine, n, done[n - 1]) for n in range(first + 1, len(done) + 1)[:WINDOW])
    columns = ("merge", "word", "left", "right", "rank", "the word after it")
    marked = at - 1 - first if at else None
    return {"the_pieces": strip, "the_merges": Table("which pair joins, and its rank", columns, rows, marked)}


def row(engine: Engine, number: int, step: Step) -> tuple[Scalar, ...]:
    merge = step.merge
    left, right = (spelt(engine.tokenizer.token_bytes(i)) for i in (merge.left, merge.right))
    return number, step.word + 1, left, right, merge.rank + 1, pieces(engine, merge.pieces).replace(" ", "·")


def word_table(
    engine: Engine, words: Sequence[bytes], cuts: Sequence[list[int]], longest: Sequence[list[int]]
) -> Table:
    """The words where the longest match is wrong first, then the others."""
    order = sorted(range(len(words)), key=lambda i: cuts[i] == longest[i])[:SHOWN_WORDS]
    rows = tuple(
        (
            i + 1,
            len(words[i]),
            pieces(engine, cuts[i]).replace(" ", "·"),
            pieces(engine, longest[i]).replace(" ", "·"),
            "≠" if cuts[i] != longest[i] else "",
        )
        for i in order
    )
    return Table("words: the real cut and the longest match", ("word", "bytes", "real", "longest match", ""), rows)


def learning_views(p: Mapping[str, Any], before: int, learnt: Sequence[Learnt]) -> dict[str, View]:
    """The first pieces learnt and the latest ones, and how the text shrinks."""
    if not learnt:
        return {}
    where = "your text" if p["corpus"] else NAME
    numbered = list(enumerate(learnt, 1))
    shown = (
        numbered if len(numbered) <= SHOWN_LEARNT else numbered[: SHOWN_LEARNT // 2] + numbered[-SHOWN_LEARNT // 2 :]
    )
    rows = tuple(
        (n, spelt(x.left), spelt(x.right), x.count, spelt(x.left + x.right), x.pieces) for n, x in shown
    )  # fmt: skip
    columns = ("merge", "left", "right", "how often", "new piece", "pieces in the text")
    sizes = [before, *(x.pieces for x in learnt)]
    curve = Curve("the text gets shorter", (series("pieces", range(len(sizes)), sizes),), "merges learnt", "pieces")
    return {
        "learnt_just_now": Table(f"a vocabulary learnt just now from {where}", columns, rows),
        "the_text_shrinks": curve,
    }


def pieces(engine: Engine, ids: Sequence[int]) -> str:
    return "|".join(piece_text(engine.tokenizer.token_bytes(i)) for i in ids)


def spelt(data: bytes) -> str:
    """The piece as it is spelt in a table: a space is to be seen."""
    return piece_text(data).replace(" ", "·")


def piece_text(data: bytes) -> str:
    """The piece as text, or its bytes where it is no text by itself."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.hex(" ")
