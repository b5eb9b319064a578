"""Cuts the learner's text with two tokenizers, and shows what cuts do to counting, to the next token, to the price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Tokens
from llm_holes.engine.numbers import plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier1.tokens.changes import LOWER, SPACE, TYPOS, chances, continuations, what_instead
from llm_holes.lessons.tier1.tokens.counting import asked, counted
from llm_holes.lessons.tier1.tokens.languages import price_bars, prices
from llm_holes.lessons.tier1.tokens.pieces import added, arriving, cl100k, costs, describe, is_text


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    report = Report()
    _cut(engine, report, p["text"])
    yield report.frame(0.2)
    _count(engine, report, p["word"])
    yield report.frame(0.6)
    _continue(engine, report, p["prompt"])
    _price(engine, report)
    yield report.frame()


def _cut(engine: Engine, report: Report, text: str) -> None:
    """Both vocabularies, and what of a token can be shown once it is there."""
    ids = engine.fits(engine.tokenizer.encode(text))
    own = engine.tokens(ids, notes=[describe(engine.tokenizer.token_bytes(i)) for i in ids])
    before, after = (added(engine, ids) for ids in (engine.tokenizer.begin, engine.tokenizer.close))
    other = cl100k(text)
    size, in_front = len(text.encode()), engine.tokenizer.in_front(text)
    report.measure(
        characters=len(text),
        bytes=size,
        tokens=len(own),
        bytes_per_token=size / len(own),
        tokens_cl100k=len(other),
        roundtrip_exact=engine.tokenizer.decode(ids) == in_front + text,
        bytes_lost=size + len(in_front) - sum(len(token.data) for token in own),
        partial_tokens=sum(not is_text(token.data) for token in own),
    )
    report.show(
        the_pieces=Tokens(f"your text as {engine.info.name} reads it", (*before, *own, *after)),
        another_list=Tokens("the same text in the list of GPT-4, cl100k", other),
        what_it_costs=costs(size, len(text), own, other),
        as_they_arrive=arriving(engine, own),
    )
    report.say(f"{plural(len(text), 'character')}: {plural(len(own), 'token')} here, {len(other):,} in cl100k.")


def _price(engine: Engine, report: Report) -> None:
    found = prices(engine)
    dearest = max(found, key=lambda language: found[language])
    report.measure(tokens_english=found["English"], dearest_language=dearest, tokens_dearest=found[dearest])
    report.show_also(six_languages=price_bars(found))


def _continue(engine: Engine, report: Report, prompt: str) -> None:
    found = list(continuations(engine, prompt))
    first, by_name = found[0], {one.name: one for one in found}
    spaced = by_name[SPACE]
    report.measure(
        next_token=spelt(first.best),
        p_next=first.p,
        p_next_after_space=spaced.p,
        p_next_lower_case=by_name.get(LOWER, first).p,
        p_next_typos=by_name.get(TYPOS, first).p,
        next_after_space=spelt(spaced.best),
        changes_tried=len(found) - 1,
        changes_that_unseat=sum(one.unseated for one in found),
    )
    report.show_also(what_comes_next=chances(found), what_instead=what_instead(found))


def _count(engine: Engine, report: Report, word: str) -> None:
    found = counted(engine, word)
    report.measure(
        counted_word=found.word,
        letter=found.letter,
        letter_count=found.times,
        word_tokens=len(found.pieces),
        count_answer=found.answer,
        counts_right=found.right,
    )
    report.show_also(asked_to_count=asked(found))
