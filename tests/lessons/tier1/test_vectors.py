"""Vectors: arrows by hand, lengths, angles and agreeing signs against numpy, and what editing one number does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Curve, Plane, Table, View
from llm_holes.engine.surgery.vectors import TABLE
from tests.support.lessons import frames, measured


def row(engine: Engine, word: str) -> np.ndarray:
    (token,) = engine.tokenizer.encode(f" {word}")
    return engine.model.weights[TABLE][token].double().numpy()


def shown(engine: Engine, key: str, preset: str = "", **settings: object) -> View:
    return next(view for view in frames(engine, "vectors", preset, **settings)[-1].views if view.key == key)


@pytest.mark.parametrize(
    ("arrows", "turn", "cosine"),
    [
        ("3 4, -4 3", 0, 0.0),
        ("3 4, -4 3", -90, 1.0),
        ("3 4, -4 3", 90, -1.0),
        ("(1, 0) and [1; 1]", 0, math.sqrt(0.5)),
        ("3 4 − 30 -40", 0, -1.0),
        ("0 0 1 2", 0, 0.0),
    ],
)
def test_arrows_by_hand(engine: Engine, arrows: str, turn: float, cosine: float) -> None:
    m = measured(engine, "vectors", arrows=arrows, turn=turn)
    assert m["toy_cosine"] == pytest.approx(cosine, abs=1e-6)
    assert m["toy_has_angle"] == (not arrows.startswith("0 0"))


def test_the_turned_arrow_is_drawn_where_its_numbers_say(engine: Engine) -> None:
    """You should see the second arrow on the first, and the way it came."""
    plane = shown(engine, "arrows", turn=-90)
    assert isinstance(plane, Plane)
    assert (plane.arrows[1].x, plane.arrows[1].y) == pytest.approx((3, 4))
    (way,) = plane.dots
    assert (way.x[0], way.y[0]) == pytest.approx((-4, 3))
    assert (way.x[-1], way.y[-1]) == pytest.approx((3, 4))


def test_lengths_and_cosine_are_those_of_the_rows(engine: Engine) -> None:
    m = measured(engine, "vectors")
    a, b = row(engine, "hot"), row(engine, "cold")
    assert m["dimensions"] == len(a)
    assert m["norm_a"] == pytest.approx(np.sqrt((a**2).sum()), abs=1e-5)
    assert m["norm_b"] == pytest.approx(np.sqrt((b**2).sum()), abs=1e-5)
    assert m["cosine"] == pytest.approx((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()), abs=1e-5)


def test_opposites_agree_in_most_places_and_strangers_in_half(engine: Engine) -> None:
    a, b = row(engine, "hot"), row(engine, "cold")
    default = measured(engine, "vectors")
    assert default["same_signs"] == (np.sign(a) * np.sign(b) > 0).sum()
    assert default["same_signs"] >= 325
    assert 250 <= measured(engine, "vectors", "hot and a teaspoon")["same_signs"] < 325
    assert measured(engine, "vectors", "pointing apart")["same_signs"] < 250


def test_each_place_is_a_dot_of_its_kind(engine: Engine) -> None:
    """You should see as many dots as places, those of one sign at the upper right and lower left."""
    plane = shown(engine, "places")
    assert isinstance(plane, Plane)
    same, opposite, neither = plane.dots
    assert len(same.x) + len(opposite.x) + len(neither.x) == measured(engine, "vectors")["dimensions"]
    assert len(same.x) == measured(engine, "vectors")["same_signs"]
    assert all(x * y > 0 for x, y in zip(same.x, same.y, strict=True))
    assert all(x * y < 0 for x, y in zip(opposite.x, opposite.y, strict=True))


def test_strangers_agree_because_all_arrows_lean_the_same_way(engine: Engine) -> None:
    default, removed = measured(engine, "vectors"), measured(engine, "vectors", "the mean removed")
    assert default["random_pair_same_signs"] > default["coin_signs"] + 40
    assert default["random_pair_same_signs_mean_removed"] == pytest.approx(default["coin_signs"], abs=3)
    assert default["leaning_share"] > 0.98
    assert removed["leaning_share"] == pytest.approx(0.5, abs=0.1)
    assert removed["random_pair_same_signs"] == pytest.approx(default["random_pair_same_signs_mean_removed"])


def test_seen_from_the_side_lengths_and_the_angle_with_the_average_are_true(engine: Engine) -> None:
    plane = shown(engine, "the lean")
    assert isinstance(plane, Plane)
    hot, average = plane.arrows[0], plane.arrows[-1]
    table = engine.model.weights[TABLE].double().numpy()
    vector, mean = row(engine, "hot"), table[: engine.tokenizer.vocabulary].mean(0)
    assert math.hypot(hot.x, hot.y) == pytest.approx(np.linalg.norm(vector), abs=1e-4)
    assert (average.x, average.y) == pytest.approx((np.linalg.norm(mean), 0), abs=1e-3)
    cosine = vector @ mean / np.linalg.norm(vector) / np.linalg.norm(mean)
    assert hot.x / math.hypot(hot.x, hot.y) == pytest.approx(cosine, abs=1e-4)
    assert sum(x > 0 for x in plane.dots[0].x) > 0.95 * len(plane.dots[0].x)


def test_one_number_is_replaced_and_nothing_else(engine: Engine) -> None:
    a, b = row(engine, "hot"), row(engine, "cold")
    last = frames(engine, "vectors", dimension=7, new_value=4.0)[-1]
    before = a.copy()
    a[7] = 4.0
    assert last.measured["cosine_edited"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
    with_itself = a @ before / np.linalg.norm(a) / np.linalg.norm(before)
    assert last.measured["cosine_with_itself"] == pytest.approx(with_itself, abs=1e-5)
    curve = next(view for view in last.views if view.key == "one number")
    assert isinstance(curve, Curve)
    assert np.interp(4.0, curve.series[1].x, curve.series[1].y) == pytest.approx(
        last.measured["cosine_edited"], abs=5e-3
    )
    assert curve.series[2].x == (4.0, 4.0)


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


def test_counting_signs_finds_nearly_the_same_neighbours_and_a_huge_number_does_not_fool_it(engine: Engine) -> None:
    m, huge = measured(engine, "vectors"), measured(engine, "vectors", "one huge number")
    assert m["nearest_token"] == m["nearest_by_signs"] == huge["nearest_by_signs"] == " hot"
    assert m["nearest_in_both"] >= 12
    assert huge["nearest_token"].strip() != "hot"
    assert huge["nearest_in_both"] <= 3
    table = shown(engine, "nearest")
    assert isinstance(table, Table)
    counts = [line[3] for line in table.rows]
    assert counts == sorted(counts, reverse=True)


def test_shuffling_the_dimensions_of_both_leaves_the_cosine(engine: Engine) -> None:
    assert measured(engine, "vectors")["permuted_max_abs_diff"] < 1e-6


def test_scaling_changes_length_but_not_direction(engine: Engine) -> None:
    m = measured(engine, "vectors", "twice as long, the other way")
    assert m["cosine_edited"] == pytest.approx(-m["cosine"], abs=1e-6)
    assert measured(engine, "vectors", scale=0.0, dimension=-1)["cosine_edited"] == 0
    assert measured(engine, "vectors", "a long and a short one")["toy_cosine"] == pytest.approx(1)


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


@pytest.mark.parametrize(
    ("arrows", "problem"), [("3 4", "not 2"), ("1 2 3", "not 3"), ("left up", "not a list"), ("", "please")]
)
def test_what_is_no_arrow_is_said(engine: Engine, arrows: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        measured(engine, "vectors", arrows=arrows)
