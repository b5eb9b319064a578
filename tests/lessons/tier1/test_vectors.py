"""Vectors: lengths and angles against numpy, and what editing, scaling and shuffling do to them."""

from __future__ import annotations

import numpy as np
import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Heatmap
from llm_holes.engine.surgery.vectors import TABLE
from tests.support.lessons import frames, measured


def row(engine: Engine, word: str) -> np.ndarray:
    (token,) = engine.tokenizer.encode(f" {word}")
    return engine.model.weights[TABLE][token].double().numpy()


def test_lengths_and_cosine_are_those_of_the_rows(engine: Engine) -> None:
    m = measured(engine, "vectors")
    a, b = row(engine, "hot"), row(engine, "cold")
    assert m["dimensions"] == len(a)
    assert m["norm_a"] == pytest.approx(np.sqrt((a**2).sum()), abs=1e-5)
    assert m["norm_b"] == pytest.approx(np.sqrt((b**2).sum()), abs=1e-5)
    assert m["cosine"] == pytest.approx((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()), abs=1e-5)


def test_one_number_is_replaced_and_nothing_else(engine: Engine) -> None:
    a, b = row(engine, "hot"), row(engine, "cold")
    last = frames(engine, "vectors", dimension=7, new_value=4.0)[-1]
    strip = last.views[0]
    assert isinstance(strip, Heatmap)
    assert strip.column_control == "dimension"
    original, edited = strip.values.numpy()[0].astype(float), strip.values.numpy()[-1].astype(float)
    assert np.flatnonzero(original != edited).tolist() == [7]
    a[7] = 4.0
    assert last.measured["cosine_edited"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)


def test_no_single_number_matters_unless_it_is_huge(engine: Engine) -> None:
    a, b = row(engine, "hot"), row(engine, "cold")
    m = measured(engine, "vectors")
    moved = []
    for dimension in range(len(a)):
        changed = a.copy()
        changed[dimension] = 0
        moved.append(abs(changed @ b / np.linalg.norm(changed) / np.linalg.norm(b) - m["cosine"]))
    assert m["largest_change_if_zeroed"] == pytest.approx(max(moved), abs=1e-5)
    assert m["largest_change_if_zeroed"] < 0.05
    assert m["nearest_token"] == " hot"
    assert measured(engine, "vectors", "one huge number")["nearest_token"].strip() != "hot"


def test_shuffling_the_dimensions_of_both_leaves_the_cosine(engine: Engine) -> None:
    assert measured(engine, "vectors")["permuted_max_abs_diff"] < 1e-6


def test_scaling_changes_length_but_not_direction(engine: Engine) -> None:
    m = measured(engine, "vectors", "twice as long, the other way")
    assert m["cosine_edited"] == pytest.approx(-m["cosine"], abs=1e-6)
    assert measured(engine, "vectors", scale=0.0, dimension=-1)["cosine_edited"] == 0


def test_opposites_are_neighbours_and_unrelated_is_not_zero(engine: Engine) -> None:
    assert measured(engine, "vectors")["cosine_raw"] > 0.5
    unrelated = measured(engine, "vectors", "nothing in common")
    assert unrelated["cosine"] > unrelated["random_pair_cosine"] > 0.3
    assert abs(unrelated["cosine_mean_removed"]) < 0.15
    assert abs(measured(engine, "vectors", "the mean removed")["random_pair_cosine"]) < 0.05


@pytest.mark.parametrize("text", ["🙂", "今天", "\x1b[31m", "a" * 40, "[b]<|im_end|>"])
def test_any_word_has_a_vector(engine: Engine, text: str) -> None:
    m = measured(engine, "vectors", text=text, text_c="")
    assert m["norm_a"] > 0


def test_no_word_says_which_one_is_missing(engine: Engine) -> None:
    with pytest.raises(InputError, match="text_b is empty"):
        measured(engine, "vectors", text_b="  ")
