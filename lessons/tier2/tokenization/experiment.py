"""Replays the merges that cut the learner's text, beside what else could be done: longest match, whole words, bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame, Tokens
from llm_holes.engine.numbers import plural
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import longest_match
from llm_holes.engine.tokenizer.tiktoken_bridge import Twin
from llm_holes.lessons.shared.pace import pause
from llm_holes.lessons.shared.passage import NAME, passage
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier2.tokenization.guessing import by_tokens_and_bytes
from llm_holes.lessons.tier2.tokenization.learning import learning_measured, learning_views, learnt_in_parts
from llm_holes.lessons.tier2.tokenization.merge_views import Tree, merge_tree, pairs_now
from llm_holes.lessons.tier2.tokenization.questions import beginning, guessing, measured
from llm_holes.lessons.tier2.tokenization.whole_words import WholeWords, growth, list_measured
from llm_holes.lessons.tier2.tokenization.words import EXAMPLES, joined, word_table


@lru_cache(maxsize=1)
def bpe_of(folder: str) -> BPE:
    return BPE.load(folder)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    report, bpe = Report(), bpe_of(engine.files.folder)
    ids = engine.fits(engine.tokenizer.encode(p["text"]))
    words = bpe.words(p["text"])
    number = min(p["word"], len(words))
    tree = Tree.of(bpe, number, words[number - 1])
    wanted = len(tree.merges) if p["step"] < 0 else min(p["step"], len(tree.merges))
    if p["play"]:
        yield from _grown(engine, report, tree, wanted)
    report.measure(word=tree.name, word_bytes=len(tree.data), word_tokens=len(tree.tokens))
    report.measure(step=wanted, steps=len(tree.merges))
    report.show(
        the_tree=merge_tree(engine, tree, wanted),
        the_pieces=Tokens("your whole text as tokens", engine.tokens(ids)),
        neighbours=pairs_now(engine, bpe, tree, wanted),
    )
    _cut(engine, report, bpe, p["text"], words, ids)
    yield report.frame(0.2)

    corpus, where = (p["corpus"], "your text") if p["corpus"] else (passage(), NAME)
    yield from _learn(engine, report, where, bpe.words(corpus), p["train_merges"])
    found = WholeWords.of(bpe.words(corpus), words)
    report.measure(list_measured(found))
    report.show_also(the_list_of_words=growth(found, where))
    yield report.frame(0.8)
    _guess(engine, report, bpe, p["text"])
    yield report.frame()


def _grown(engine: Engine, report: Report, tree: Tree, wanted: int) -> Iterator[Frame]:
    """One frame after each merge of the word, at a pace the eye can follow."""
    for done in range(wanted):
        report.say(f"After {done} of {plural(len(tree.merges), 'merge')}.")
        report.measure(step=done, steps=len(tree.merges))
        report.show(the_tree=merge_tree(engine, tree, done))
        yield report.frame(0.2 * done / wanted)
        pause(engine)


def _cut(engine: Engine, report: Report, bpe: BPE, text: str, words: Sequence[bytes], ids: list[int]) -> None:
    """The text by merges and by longest match."""

    def pieces(ids: Sequence[int]) -> list[bytes]:
        return [engine.tokenizer.token_bytes(i) for i in ids]

    cuts = [bpe.encode_word(word) for word in words]
    longest = [longest_match(bpe, word) for word in words]
    differ = [i for i, (cut, other) in enumerate(zip(cuts, longest, strict=True)) if cut != other]
    spelt_out = [bpe.spelt(word) for word in words]
    example = next((words[i] for i in differ), None) or _example(bpe)
    size, kept = sum(map(len, words)), sum(map(len, spelt_out))
    merges = [len(a) - len(b) for word, a, b in zip(words, spelt_out, cuts, strict=True) if not bpe.whole(word)]
    report.measure(
        pre_tokens=len(words),
        bytes=size,
        bytes_dropped=size - kept,
        bytes_as_tokens=kept,
        merges_applied=sum(merges),
        token_ids=ids,
        tokens=len(ids),
        matches_reference_tokenizer=[i for cut in cuts for i in cut] == ids,
        matches_tiktoken=_same_in_tiktoken(bpe, text, ids),
        greedy_longest_match_differs=bool(differ),
        words_cut_differently=len(differ),
        example_real=joined(pieces(bpe.encode_word(example))),
        example_longest=joined(pieces(longest_match(bpe, example))),
    )
    report.show_also(real_and_longest=word_table(words, [pieces(x) for x in cuts], [pieces(x) for x in longest]))
    parts = (plural(size, "byte"), plural(len(words), "word"), plural(sum(merges), "merge"))
    report.say(f"{', '.join(parts)}: {plural(len(ids), 'token')}.")


def _example(bpe: BPE) -> bytes:
    """A word that longest match cuts differently, where the learner's text has none."""
    found = (word for word in bpe.words(EXAMPLES + passage()) if bpe.encode_word(word) != longest_match(bpe, word))
    return next(found, b"")


def _same_in_tiktoken(bpe: BPE, text: str, ids: Sequence[int]) -> bool | str:
    try:
        return Twin(bpe).encode(text) == ids
    except InputError:
        return "it cannot cut words as this model does"


def _learn(engine: Engine, report: Report, where: str, corpus: Sequence[bytes], merges: int) -> Iterator[Frame]:
    views, before = report.views, sum(map(len, corpus))
    for learnt in learnt_in_parts(corpus, merges, engine.model.is_cancelled):
        report.measure(learning_measured(before, learnt))
        report.show(*views, **learning_views(where, before, learnt))
        yield report.frame(0.2 + 0.6 * len(learnt) / max(merges, 1))


def _guess(engine: Engine, report: Report, bpe: BPE, text: str) -> None:
    tokens, single = by_tokens_and_bytes(engine, bpe, beginning(text))
    report.measure(measured(tokens, single))
    report.show_also(guessing=guessing(tokens, single))
