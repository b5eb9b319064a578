"""What the lesson on tokens claims about next tokens, counting, languages and bytes that arrive one by one."""

from __future__ import annotations

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bars, Frame, Table, Tokens, View
from llm_holes.lessons.tier1.tokens.changes import changed
from llm_holes.lessons.tier1.tokens.counting import number_in
from tests.support.lessons import frames, measured


def view(frame: Frame, key: str) -> View:
    return next(view for view in frame.views if view.key == key)


def test_small_changes_of_a_text_unseat_its_likeliest_next_token(engine: Engine) -> None:
    last = frames(engine, "tokens")[-1]
    m = last.measured
    assert (m["next_token"], m["changes_tried"], m["changes_that_unseat"]) == ("·Paris", 5, 4)
    assert float(str(m["p_next"])) > 0.7 > 0.05 > float(str(m["p_next_after_space"]))
    bars = view(last, "what comes next")
    assert isinstance(bars, Bars)
    paris = engine.tokenizer.encode(" Paris")[0]
    m = measured(engine, "tokens")
    assert (m["p_next_lower_case"], m["p_next_typos"]) == (bars.values[3], bars.values[4])
    small = measured(engine, "tokens", prompt="to be")
    assert small["p_next_lower_case"] == pytest.approx(small["p_next"])
    for (_, text), p in zip(changed("The capital of France is"), bars.values, strict=True):
        assert float(engine.logits(engine.encode(text), 1)[-1].softmax(-1)[paris]) == pytest.approx(p, abs=1e-5)
    assert measured(engine, "tokens", "a well-worn line")["changes_that_unseat"] < 3


def test_a_change_that_changes_nothing_is_not_tried() -> None:
    assert dict(changed("The capital of France is"))["letters swapped"] == "The captial of Frnace is"
    assert [name for name, _ in changed("a b")] == ["as typed", "a space at the end", "two spaces inside", "capitals"]


def test_letters_are_miscounted_where_the_word_is_one_piece(engine: Engine) -> None:
    m = measured(engine, "tokens")
    assert (m["letter"], m["letter_count"], m["word_tokens"], m["counts_right"]) == ("r", 3, 1, False)
    assert measured(engine, "tokens", "a lucky count")["counts_right"] is True
    with pytest.raises(InputError, match="word is empty"):
        measured(engine, "tokens", word=" ")


def test_the_first_number_of_an_answer_is_the_one_it_says() -> None:
    assert number_in('The letter "r" appears 10 times, not 3.') == 10
    assert number_in("It appears twice.") == 2
    assert number_in("I cannot say.") is None


def test_the_same_sentence_costs_most_in_the_script_the_vocabulary_saw_least(engine: Engine) -> None:
    last = frames(engine, "tokens")[-1]
    bars = view(last, "six languages")
    assert isinstance(bars, Bars)
    found = dict(zip(bars.labels, bars.values, strict=True))
    assert found["English"] == min(found.values())
    assert found["Hindi"] == max(found.values()) > 5 * found["English"]
    assert last.measured["dearest_language"] == "Hindi"


def test_bytes_of_a_character_are_held_back_until_it_is_whole(engine: Engine) -> None:
    last = frames(engine, "tokens")[-1]
    table, strip = view(last, "as they arrive"), view(last, "the pieces")
    assert isinstance(table, Table)
    assert isinstance(strip, Tokens)
    *_, third, second, last_part = table.rows
    assert [row[2] for row in (third, second, last_part)] == ["f0 9f", "f0 9f 8c", ""]
    assert third[-1] == second[-1]
    assert str(second[-1]).endswith("3.50·")
    assert str(last_part[-1]).endswith("3.50 🌮")
    assert b"".join(token.data for token in strip.tokens).decode().endswith("3.50 🌮")
    assert last.measured["partial_tokens"] == 3
