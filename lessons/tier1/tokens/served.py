"""A text in the pieces of a served model's tokenizer, and what small changes of a text do to its next token."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.backends.backend import Ask, Backend, Capability, Likely, answer, most
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame, Table, Token, Tokens
from llm_holes.engine.numbers import plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.asking import chance_of, cut_by, name_of, prompt_for, same
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier1.tokens.changes import LOWER, SPACE, TYPOS, Continued, chances, changed, what_instead
from llm_holes.lessons.tier1.tokens.counting import ANSWER_TOKENS, Count, asked, asked_of, number_in
from llm_holes.lessons.tier1.tokens.languages import SENTENCES, price_bars
from llm_holes.lessons.tier1.tokens.pieces import (
    arrived,
    cl100k,
    costs,
    describe,
    is_text,
)  # fmt: skip

NEEDS: frozenset[Capability] = frozenset()
VIEWS: Mapping[str, frozenset[Capability]] = {
    "the pieces": frozenset({"tokenize"}),
    "another list": frozenset(),
    "asked to count": frozenset({"tokenize"}),
    "what comes next": frozenset({"completions", "top 5"}),
    "six languages": frozenset({"tokenize"}),
    "as they arrive": frozenset({"tokenize"}),
}
BETS = frozenset({"counts_right", "changes_that_unseat"})
UNSEEN: Mapping[str, str] = {}
CONNECTIONS = 1


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    report, can = Report(), backend.capabilities
    _cut(backend, report, p["text"])
    yield report.frame(0.2)
    if "tokenize" in can:
        _count(backend, report, p["word"])
        yield report.frame(0.5)
    if {"completions", "top 5"} <= can:
        _continue(backend, report, p["prompt"])
        yield report.frame(0.8)
    if "tokenize" in can:
        found = {language: len(backend.encode(sentence)) for language, sentence in SENTENCES.items()}
        dearest = max(found, key=lambda language: found[language])
        report.measure(tokens_english=found["English"], dearest_language=dearest, tokens_dearest=found[dearest])
        report.show_also(six_languages=price_bars(found))
    yield report.frame()


def _cut(backend: Backend, report: Report, text: str) -> None:
    if not text:
        raise InputError("there is no text to run on", "Type at least one character.")
    other, size = cl100k(text), len(text.encode())
    report.measure(characters=len(text), bytes=size, tokens_cl100k=len(other))
    report.show(another_list=Tokens("the same text in the list of GPT-4, cl100k", other))
    report.say(f"{plural(len(text), 'character')}: {len(other):,} tokens in cl100k.")
    if "tokenize" not in backend.capabilities:
        return
    own = tuple(Token(token.id, token.data, describe(token.data)) for token in backend.encode(text))
    whole = b"".join(token.data for token in own)
    report.measure(
        tokens=len(own),
        bytes_per_token=size / max(len(own), 1),
        roundtrip_exact=whole.decode("utf-8", "replace") == text,
        bytes_lost=size - len(whole),
        partial_tokens=sum(not is_text(token.data) for token in own),
    )
    title = cut_by(backend, "your text", f"your text as {backend.name.rpartition('/')[2]} reads it")
    report.show(
        the_pieces=Tokens(title, own),
        another_list=Tokens("the same text in the list of GPT-4, cl100k", other),
        what_it_costs=costs(size, len(text), own, other),
        as_they_arrive=_arriving(own),
    )
    report.say(f"{plural(len(text), 'character')}: {plural(len(own), 'token')} here, {len(other):,} in cl100k.")


def _arriving(own: tuple[Token, ...]) -> Table:
    """What can be read after each token, and which bytes wait until their character is whole."""
    reader = codecs.getincrementaldecoder("utf-8")("replace")
    steps = []
    for token in own:
        text = reader.decode(token.data)
        steps.append((text, reader.getstate()[0]))
    return arrived(own, steps)


def _count(backend: Backend, report: Report, typed: str) -> None:
    word, letter, times, question = asked_of(typed)
    given = answer(backend, Ask(prompt_for(backend, question, True), ANSWER_TOKENS)).text.strip()
    pieces = backend.encode(f" {word}")
    texts = tuple(token.data.decode("utf-8", "replace") for token in pieces)
    found = Count(word, letter, times, texts, tuple(token.id for token in pieces), given, number_in(given))
    report.measure(
        counted_word=word, letter=letter, letter_count=times, word_tokens=len(pieces), count_answer=given,
        counts_right=found.right,
    )  # fmt: skip
    report.show_also(asked_to_count=asked(found))


def _continue(backend: Backend, report: Report, prompt: str) -> None:
    if not prompt:
        raise InputError("there is no text to continue", "Type at least one character.")
    found: list[Continued] = []
    first: Likely | None = None
    for name, text in changed(prompt):
        given = answer(backend, Ask(text, 1, most(backend.capabilities)))
        top = given.tokens[0].top if given.tokens else ()
        if not top:
            raise InputError("the server ended its answer before the first token", "Type another text.")
        first = first or top[0]
        size = given.ended.prompt_tokens or 0
        found.append(
            Continued(name, text, size, name_of(top[0]), top[0].p, chance_of(first, top), not same(top[0], first))
        )
    by_name = {one.name: one for one in found}
    spaced_ = by_name[SPACE]
    report.measure(
        next_token=spelt(found[0].best),
        p_next=found[0].p,
        p_next_after_space=spaced_.p,
        p_next_lower_case=by_name.get(LOWER, found[0]).p,
        p_next_typos=by_name.get(TYPOS, found[0]).p,
        next_after_space=spelt(spaced_.best),
        changes_tried=len(found) - 1,
        changes_that_unseat=sum(one.unseated for one in found),
    )
    report.show_also(what_comes_next=chances(found), what_instead=what_instead(found))
