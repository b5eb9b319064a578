"""Directions: the analogies redone with numpy, each way of scoring them, and steering that leaves nothing behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Diff
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.vectors import TABLE
from llm_holes.lessons.tier2.directions import glove
from llm_holes.lessons.tier2.directions.analogies import ANALOGIES
from llm_holes.lessons.tier2.directions.spaces import ranked, states
from tests.support.lessons import frames, measured

QUICK: dict[str, Any] = {"alpha": 0.0, "max_new_tokens": 1}


def test_the_famous_example_works_even_with_the_inputs_allowed(engine: Engine) -> None:
    m = measured(engine, "directions")
    assert (m["top_with_inputs"], m["top_excluding_inputs"]) == (" queen", " queen")
    assert m["rank_with_inputs"] == m["rank_excluding_inputs"] == 1 < m["rank_without_arithmetic"]


def test_its_sibling_fails_and_both_ways_are_reported(engine: Engine) -> None:
    m = measured(engine, "directions", "Rome")
    assert m["top_with_inputs"] == " Paris"
    assert m["rank_of_expected"] == m["rank_excluding_inputs"] > 20
    assert m["rank_with_inputs"] == m["rank_excluding_inputs"] + 2
    question = {"word_a": "Paris", "word_b": "France", "word_c": "Italy", "expected": "Rome", **QUICK}
    allowed = measured(engine, "directions", exclude=False, **question)
    assert allowed["rank_of_expected"] == m["rank_with_inputs"]


def test_the_accuracies_are_those_of_all_analogies_redone(engine: Engine) -> None:
    table = engine.model.weights[TABLE].numpy()
    lengths = np.linalg.norm(table, axis=1)
    right = np.zeros(3)
    for words in ANALOGIES:
        b, a, c, d = (engine.tokenizer.encode(f" {w}")[0] for w in words)
        moved = table @ (table[a] - table[b] + table[c]) / lengths
        plain = table @ table[c] / lengths
        first = moved.argmax()
        moved[[a, b, c]] = plain[[a, b, c]] = -np.inf
        right += [first == d, moved.argmax() == d, plain.argmax() == d]
    m = measured(engine, "directions")
    assert m["analogies"] == len(ANALOGIES)
    shares = [m["analogy_accuracy_with_inputs"], m["analogy_accuracy"], m["analogy_accuracy_no_arithmetic"]]
    assert shares == pytest.approx(right / len(ANALOGIES))
    assert shares[2] < shares[0] < shares[1]


def test_a_short_list_of_candidates_flatters_even_no_arithmetic(engine: Engine) -> None:
    whole, listed = measured(engine, "directions"), measured(engine, "directions", "a short list to choose from")
    assert listed["candidates"] < 200 < whole["candidates"]
    assert listed["analogy_accuracy"] > whole["analogy_accuracy"]
    assert listed["analogy_accuracy_no_arithmetic"] > whole["analogy_accuracy_no_arithmetic"] + 0.3


def test_states_are_those_of_the_whole_model(engine: Engine) -> None:
    found = states(engine, 5, "The word", ("cat", "strawberries", "dog"))
    for row, word in zip(found, ("cat", "strawberries", "dog"), strict=True):
        ids = torch.tensor([engine.encode(f"The word {word}")])
        act = engine.model.forward(ids, taps=[tap(5, "hook_resid_post")]).acts[tap(5, "hook_resid_post")]
        assert np.abs(act[0, -1] - row.numpy()).max() < 1e-3


def test_steering_changes_the_text_and_leaves_no_trace(engine: Engine) -> None:
    m = measured(engine, "directions", "a little joy")
    assert m["steered_text_differs"] is m["undo_bit_identical"] is True
    assert (
        0
        < m["kl_nats"]
        < measured(engine, "directions")["kl_nats"]
        < measured(engine, "directions", "far too much")["kl_nats"]
    )
    rest = frames(engine, "directions", "Rome")[-1]
    assert rest.measured["kl_nats"] < 1e-6
    diff = rest.views[-1]
    assert isinstance(diff, Diff)
    assert diff.before == diff.after


def test_ranks_leave_out_what_is_excluded() -> None:
    scores = torch.tensor([0.9, 0.1, 0.8, 0.5])
    assert ranked(scores, 3) == 3
    assert ranked(scores, 3, {0, 1}) == 2
    assert ranked(scores, 3, {0, 2, 3}) == 1


def test_words_of_several_tokens_and_any_script(engine: Engine) -> None:
    words = {"word_a": "🙂", "word_b": "今天", "word_c": "Zorbulon", "expected": "Überraschung"}
    m = measured(engine, "directions", **words, **QUICK)
    assert 1 <= m["rank_of_expected"] <= m["candidates"]
    same = measured(engine, "directions", word_c="king", expected="king", space="listed words", **QUICK)
    assert same["rank_with_inputs"] >= 1


def test_without_the_package_glove_says_how_to_get_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove, "PACKAGES", ("no_such_package",))
    glove.glove.cache_clear()
    with pytest.raises(InputError, match="not installed") as refused:
        measured(engine, "directions", space="GloVe")
    assert "pip install" in refused.value.hint


def test_it_can_be_cancelled(engine: Engine) -> None:
    with pytest.raises(Cancelled):
        measured(engine.cancellable(lambda: True), "directions", space="middle layer")
