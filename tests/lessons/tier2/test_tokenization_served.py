"""The longest match as it is found out from outside, by what a server cuts into one token."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import pytest

from llm_holes.engine.backends.backend import Backend, Capability
from llm_holes.engine.backends.capabilities import Found
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Text, Token
from llm_holes.engine.tokenizer.bpe_steps import longest_match
from llm_holes.lessons.tier2.tokenization import served
from llm_holes.lessons.tier2.tokenization.experiment import bpe_of
from llm_holes.lessons.tier2.tokenization.longest import aligned, compared, longest_matches

Cut = Callable[[str], list[str]]
TEXTS = (
    "the goatherd reshaped the hothouse",
    "12345678",
    "It's (un)thinkable, isn't it?\n\n  Two  spaces\t and a tab.",
    "Straßenbahnhaltestelle fiancée",
)


class Cutting:
    """A server that does nothing but cut texts; `texts` are those it was given."""

    name, tokens_by = "cutting", ""

    def __init__(self, cut: Cut) -> None:
        self.capabilities: frozenset[Capability] = frozenset({"tokenize"})
        self.texts: list[str] = []
        self._cut = cut

    def encode(self, text: str, specials: bool = False) -> tuple[Token, ...]:
        self.texts.append(text)
        return tuple(Token(n, piece.encode()) for n, piece in enumerate(self._cut(text)))


def by(pattern: str) -> Cut:
    return lambda text: re.findall(pattern, text, re.DOTALL)


def run(cutting: Cutting, text: str) -> Frame:
    return [*served.run(cast(Backend, cutting), {"text": text, "corpus": "a b", "train_merges": 0})][-1]


@pytest.mark.parametrize("text", TEXTS)
def test_both_cuts_are_those_of_the_tokenizer_itself(text: str, engine: Engine, llama: Found) -> None:
    bpe = bpe_of(engine.files.folder)
    words = served.words_in(text)
    assert words == bpe.words(text)
    for one in compared(llama.backend, words, llama.backend.encode(text)):
        assert one.real == [engine.tokenizer.token_bytes(i) for i in bpe.encode_word(one.word)]
        assert one.longest == [engine.tokenizer.token_bytes(i) for i in longest_match(bpe, one.word)]


def test_a_character_that_is_no_token_is_taken_as_the_tokenizer_cuts_it(llama: Found) -> None:
    (found,) = longest_matches(llama.backend, ["👩"])
    assert len(found) > 1
    assert b"".join(found) == "👩".encode()


def test_many_beginnings_are_cut_in_one_request() -> None:
    cutting = Cutting(by(r"\n|ab|abc|."))
    assert longest_matches(cast(Backend, cutting), ["abab", "ba", "abc"]) == [
        [b"ab", b"ab"],
        [b"b", b"a"],
        [b"ab", b"c"],
    ]
    assert len(cutting.texts) == 2, "one for each piece of the longest row"


def test_a_tokenizer_that_joins_the_ends_of_lines_is_asked_for_each_text() -> None:
    cutting = Cutting(by(r"ab\n?|."))
    assert longest_matches(cast(Backend, cutting), ["abc"]) == [[b"ab", b"c"]]
    assert "ab" in cutting.texts


def test_words_that_a_token_reaches_across_are_one() -> None:
    tokens = [Token(n, data) for n, data in enumerate((b"a", b"b c", b"d", b" e"))]
    assert [*aligned([b"ab", b" cd", b" e"], tokens)] == [(b"ab cd", [b"a", b"b c", b"d"]), (b" e", [b" e"])]


def test_words_too_long_to_ask_for_are_not_compared() -> None:
    cutting = Cutting(by("."))
    tokens = cutting.encode("x" * 65)
    assert compared(cast(Backend, cutting), [b"x" * 65], tokens) == []


def test_tokens_that_do_not_make_up_the_text_are_not_laid_beside_it() -> None:
    last = run(Cutting(lambda text: ["▁", *text]), "ab")
    told: Any = next(view for view in last.views if view.key == "real and longest")
    assert isinstance(told, Text)
    assert "greedy_longest_match_differs" not in last.measured


def test_an_example_is_quoted_only_where_there_is_one() -> None:
    letters = run(Cutting(by(".")), "ab").measured
    assert (letters["greedy_longest_match_differs"], letters["words_cut_differently"]) == (False, 0)
    assert "example_real" not in letters
