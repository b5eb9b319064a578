"""What a step says: its format, its values, and sentences that hold for some runs only."""

from __future__ import annotations

import pytest

from llm_holes.lessons.catalog.words import Words, chosen, fill, names_in, told, words_of

VALUES = {
    "measured": {"n": 1234, "ok": True, "none": 0, "p_x": 1e-5, "who": "a\nb", "m": 3},
    "model": {"n_layers": 30},
    "settings": {"text": "cat", "layer": 18},
}


def test_a_step_is_a_heading_and_what_is_said_before_and_after_its_run() -> None:
    body = "unseen\n\n## One\n\nBefore.\n\nMore.\n\n---\n\nAfter.\n\n## Two\n\nOnly before.\n"
    assert words_of(body) == (Words("One", "Before.\n\nMore.", "After."), Words("Two", "Only before.", ""))


def test_fill_writes_values_by_their_names_or_kinds_and_leaves_what_is_not_known() -> None:
    text = "{measured.n} tokens, {measured.ok}, {measured.p_x:odds}, {measured.who}, {model.n_layers}, {measured.later}"
    assert fill(text, VALUES) == "1,234 tokens, yes, 1 in 100,000, a⏎b, 30, …"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (" Paris", "·Paris"),
        ("\n", "⏎"),
        ("  ", "··"),
        ("", ""),
        (" Paris is the capital.\n", "Paris is the capital."),
        ("Paris,\nor not", "Paris,⏎or not"),
        ([" a", " b c"], "·a, b c"),
        ({" a": 2}, "·a 2"),
    ],
)
def test_a_text_is_spelt_as_tokens_are_and_a_longer_one_loses_the_spaces_around_it(value: object, read: str) -> None:
    assert fill("{measured.it}", {"measured": {"it": value}}) == read


def test_the_full_stop_of_a_quoted_answer_and_that_of_the_sentence_are_one() -> None:
    known = {"measured": {"answer": " Waffle.", "word": " Waffle"}}
    text = "It wrote “{measured.answer}”. {?measured.answer}Then “{measured.answer}”, at last “{measured.word}”.{/}"
    assert fill(text, known) == "It wrote “·Waffle”. Then “·Waffle.”, at last “·Waffle”."


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("measured.ok", True),
        ("not measured.ok", False),
        ("measured.none", False),
        ("measured.n > 1000", True),
        ("measured.n <= 1000", False),
        ("measured.m < measured.n", True),
        ("settings.text == 'cat'", True),
        ("settings.layer != 18", False),
        ("model.n_layers >= 30", True),
        ("measured.ok == true", True),
    ],
)
def test_a_sentence_is_there_where_its_condition_holds_and_its_other_form_elsewhere(
    condition: str, holds: bool
) -> None:
    text = f"Always. {{?{condition}}}Yes.{{:}}No.{{/}} End."
    assert chosen(text, VALUES) == f"Always. {'Yes' if holds else 'No'}. End."
    assert chosen(f"A {{?{condition}}}sentence {{/}}more.", VALUES) == ("A sentence more." if holds else "A more.")


@pytest.mark.parametrize("condition", ["measured.later", "measured.later > 3", "measured.n > measured.later"])
def test_of_what_is_not_known_neither_form_is_said(condition: str) -> None:
    assert chosen(f"A. {{?{condition}}}Yes.{{:}}No.{{/}}", VALUES) == "A."


def test_what_cannot_be_compared_is_not_said() -> None:
    assert chosen("A. {?measured.who > 3}Yes.{/}", VALUES) == "A."


def test_the_names_in_a_text_are_those_it_quotes_and_those_its_conditions_ask_for() -> None:
    text = "{measured.a} {?measured.b < settings.c}{model.d}{/}"
    assert names_in(text) == {("measured", "a"), ("measured", "b"), ("settings", "c"), ("model", "d")}


def test_a_sentence_that_quotes_what_a_server_does_not_tell_is_left_out() -> None:
    text = "One of {model.n_layers} layers. {measured.n} tokens: {measured.later}. In all {measured.n}! So be it."
    assert told(text, VALUES) == "One of {model.n_layers} layers. In all {measured.n}! So be it."
    assert told(text, {"model": {"d_vocab": 7}, "measured": {"n": 1}}) == "In all {measured.n}! So be it."
    assert told(text, {"model": {}, "measured": {}}) == text, "before anything is known nothing is left out"
