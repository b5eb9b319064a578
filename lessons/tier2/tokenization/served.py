"""A text in the tokens of a served model beside the longest match, and what can be learnt without its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import structs
from tokenizers import pre_tokenizers

from llm_holes.engine.backends.backend import Backend, Capability
from llm_holes.engine.backends.chances import Untold, single_bytes
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame, Text, Tokens
from llm_holes.engine.numbers import plural
from llm_holes.engine.tokenizer.tokenizer import bytes_of_characters
from llm_holes.lessons.shared.asking import cut_by
from llm_holes.lessons.shared.passage import NAME, passage
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier2.tokenization.learning import learning_measured, learning_views, learnt_in_parts
from llm_holes.lessons.tier2.tokenization.longest import Compared, compared
from llm_holes.lessons.tier2.tokenization.questions import beginning, guessing, measured, of_chances
from llm_holes.lessons.tier2.tokenization.whole_words import WholeWords, growth, list_measured
from llm_holes.lessons.tier2.tokenization.words import EXAMPLES, joined, word_table

NEEDS: frozenset[Capability] = frozenset()
VIEWS: Mapping[str, frozenset[Capability]] = {
    "real and longest": frozenset({"tokenize"}),
    "learnt just now": frozenset(),
    "the list of words": frozenset(),
    "guessing": frozenset({"tokenize", "ids"}),
}
BETS = frozenset({"greedy_longest_match_differs", "surprise_ratio"})
UNSEEN: Mapping[str, str] = {
    "the tree": "An API gives the tokens of a word, and not the merges by which they came about.",
    "neighbours": "An API does not show the list of merges.",
}
CONNECTIONS = 1
HALVED, PLAIN = "in single bytes", "Type a text in plain letters."
CUTTER = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
"""GPT-2's rules, with digits one by one: a server does not tell its own."""


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    report, text = Report(), p["text"]
    if not text:
        raise InputError("there is no text to run on", "Type at least one character.")
    words = words_in(text)
    report.say(f"{plural(len(text.encode()), 'byte')}, {plural(len(words), 'word')} if cut by GPT-2's rules.")
    report.measure(bytes=len(text.encode()))
    if "tokenize" in backend.capabilities:
        _cut(backend, report, text, words)
    yield report.frame(0.3)
    corpus, where = (p["corpus"], "your text") if p["corpus"] else (passage(), NAME)
    learnt_from = words_in(corpus)
    views, before = report.views, sum(map(len, learnt_from))
    for learnt in learnt_in_parts(learnt_from, p["train_merges"]):
        report.measure(learning_measured(before, learnt))
        report.show(*views, **learning_views(where, before, learnt))
        yield report.frame(0.3 + 0.6 * len(learnt) / max(p["train_merges"], 1))
    found = WholeWords.of(learnt_from, words)
    report.measure(list_measured(found))
    report.show_also(the_list_of_words=growth(found, where))
    if {"tokenize", "ids"} <= backend.capabilities:
        yield report.frame(0.9)
        _guess(backend, report, beginning(text))
    yield report.frame()


def words_in(text: str) -> list[bytes]:
    """The text cut where most byte-level tokenizers cut it before they merge."""
    table = bytes_of_characters()
    return [bytes(table[c] for c in word) for word, _ in CUTTER.pre_tokenize_str(text)]


def _cut(backend: Backend, report: Report, text: str, words: Sequence[bytes]) -> None:
    """The text in its tokens, and each word by longest match."""
    tokens = backend.encode(text)
    report.measure(tokens=len(tokens), token_ids=[token.id for token in tokens])
    report.say_also(f"It is {plural(len(tokens), 'token')}.")
    report.show(the_pieces=Tokens(cut_by(backend, "your whole text", "your whole text as tokens"), tokens))
    if b"".join(token.data for token in tokens) != text.encode():
        told = "The tokens do not make up this text, so that they cannot be laid beside its words."
        report.show_also(real_and_longest=Text("real and longest", told))
        return
    found = compared(backend, words, tokens)
    example = _differing(found) or _differing(compared(backend, words_in(EXAMPLES), backend.encode(EXAMPLES)))
    report.measure(
        greedy_longest_match_differs=_differing(found) is not None,
        words_cut_differently=sum(one.differs for one in found),
    )
    if example is not None:
        report.measure(example_real=joined(example.real), example_longest=joined(example.longest))
    columns = [one.word for one in found], [one.real for one in found], [one.longest for one in found]
    table = word_table(*columns)
    report.show_also(real_and_longest=structs.replace(table, title=cut_by(backend, "real cuts", table.title)))


def _guess(backend: Backend, report: Report, text: str) -> None:
    """The text as its tokens and as single bytes, after a line break, so that the first piece is guessed too."""
    ids, data = single_bytes(backend, text), text.encode()
    if missing := sum(byte not in ids for byte in data):
        lacking = f"Of the {plural(len(data), 'byte')}, {missing:,} could not be found among the server's tokens."
        report.show_also(guessing=Text(HALVED, f"{lacking} {PLAIN}"))
        return
    start = [token.id for token in backend.encode("\n")]
    tokens = backend.encode(text)
    cuts = ([(token.id, len(token.data)) for token in tokens], [(ids[byte], 1) for byte in data])
    try:
        told = [backend.chances([*start, *(i for i, _ in cut)])[len(start) :] for cut in cuts]
    except Untold as error:
        report.show_also(guessing=Text(HALVED, f"{error} {PLAIN}"))
        return
    found = [
        of_chances([size for _, size in cut], [likely.p for likely in chances])
        for cut, chances in zip(cuts, told, strict=True)
    ]
    report.measure(measured(*found), bytes_as_tokens=len(data))
    report.show_also(guessing=guessing(*found))


def _differing(found: Sequence[Compared]) -> Compared | None:
    return next((one for one in found if one.differs), None)
