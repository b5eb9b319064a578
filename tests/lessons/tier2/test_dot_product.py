"""The dot product: by hand, as a shadow, in three places in the model, and how many of them a text costs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bars, Curve, Plane, Table, View
from llm_holes.engine.model.decoder import inverse_frequencies, rotary, rotate
from llm_holes.engine.surgery.vectors import TABLE
from llm_holes.lessons.tier2.dot_product.by_hand import Pair, dot, turning
from llm_holes.lessons.tier2.dot_product.query_and_keys import turned
from tests.support.lessons import first_with, frames, measured


def shown(engine: Engine, key: str, preset: str = "", **settings: object) -> View:
    return next(view for view in frames(engine, "dot-product", preset, **settings)[-1].views if view.key == key)


def by_hand(engine: Engine, **settings: object) -> tuple[dict[str, Any], tuple[View, ...]]:
    """What is measured and shown first, before the model has done anything."""
    frame = first_with(engine, "dot-product", "shadow", **settings)
    return frame.measured, frame.views  # type: ignore[return-value]


def scored(engine: Engine, **settings: object) -> dict[str, Any]:
    """What is measured once queries and keys were multiplied."""
    found: dict[str, Any] = first_with(engine, "dot-product", "query and keys", **settings).measured  # type: ignore[assignment]
    return found


def test_the_sum_by_hand(engine: Engine) -> None:
    whole = frames(engine, "dot-product", vectors="2 3 1, 4 -1 5")[-1]
    m: dict[str, Any] = whole.measured  # type: ignore[assignment]
    assert m["dot"] == 2 * 4 - 3 * 1 + 1 * 5
    assert m["cosine"] == pytest.approx(10 / (14 * 42) ** 0.5)
    bars, table = shown(engine, "the terms"), next(v for v in whole.views if v.key == "term by term")
    assert isinstance(bars, Bars)
    assert isinstance(table, Table)
    assert bars.values == (15, 4)
    assert [row[3] for row in table.rows] == [8, 5, 10]
    assert measured(engine, "dot-product", "large numbers, no sum")["dot"] == 0
    assert measured(engine, "dot-product", "the same direction")["cosine"] == pytest.approx(1)


@pytest.mark.parametrize("vectors", ["3 4, 5 1", "2 3 1, 4 -1 5", "3, -2", "1 2 3 4, 2 4 6 8", "0 0 0, 1 2 3"])
def test_the_shadow_times_the_other_length_is_the_sum(engine: Engine, vectors: str) -> None:
    """However long the lists, both arrows are drawn with their true lengths and the true angle."""
    m, (plane, *_) = by_hand(engine, vectors=vectors)
    assert isinstance(plane, Plane)
    a, b = plane.arrows
    assert m["shadow_length"] * m["b_length"] == pytest.approx(m["dot"])
    assert a.x * b.x + a.y * b.y == pytest.approx(m["dot"])
    assert (math.hypot(a.x, a.y), math.hypot(b.x, b.y)) == pytest.approx((m["a_length"], m["b_length"]))


def test_turning_leads_from_plus_through_nothing_to_minus() -> None:
    pair = Pair.of(torch.tensor([3.0, 4.0, 0.0]).double(), torch.tensor([5.0, 1.0, 2.0]).double())
    curve = turning(pair)
    sums = dict(zip(curve.series[0].x, curve.series[0].y, strict=True))
    most = math.prod(pair.lengths)
    assert (sums[0], sums[90], sums[180]) == pytest.approx((most, 0, -most))
    assert dot(pair.a, pair.b) == pytest.approx(most * math.cos(math.radians(pair.angle)))
    assert curve.series[1].x[0] == pytest.approx(pair.angle)


def test_turned_by_hand_the_angle_grows_by_the_dial(engine: Engine) -> None:
    straight = by_hand(engine, vectors="3 4, 3 4", turn=90)[0]
    assert straight["dot"] == 0
    assert straight["toy_angle"] == pytest.approx(90)
    assert by_hand(engine, vectors="3 4, 3 4", turn=180)[0]["dot"] == pytest.approx(-25)


def test_scores_and_logits_of_the_model_are_reproduced(engine: Engine) -> None:
    for layer, head in ((0, 0), (18, 6), (29, 8)):
        m = measured(engine, "dot-product", text="Er sagte: 今天天气很好 🙂 and left.", layer=layer, head=head)
        assert m["attention_score_reproduced_max_abs_diff"] < 1e-4
        assert m["logit_reproduced_max_abs_diff"] < 1e-4


def test_turning_by_complex_numbers_is_the_decoders_rotation(engine: Engine) -> None:
    config = engine.model.config
    x = torch.randn(6, config.d_head, generator=torch.Generator().manual_seed(0))
    theirs = rotate(x[None, :, None], rotary(config.ropes[0], 3, 9))[0, :, 0]
    assert (turned(x, inverse_frequencies(config.ropes[0]), 3) - theirs).abs().max() < 1e-5


def test_only_the_distance_between_query_and_key_counts(engine: Engine) -> None:
    config = engine.model.config
    q, k = torch.randn(2, 1, config.d_head, generator=torch.Generator().manual_seed(0))
    frequency = inverse_frequencies(config.ropes[0])
    near, far = (float(turned(q, frequency, n + 5) @ turned(k, frequency, n)[0]) for n in (0, 4000))
    assert near == pytest.approx(far, abs=1e-3)


def test_the_winner_is_nearly_at_a_right_angle(engine: Engine) -> None:
    m = measured(engine, "dot-product")
    state = engine.model.forward(
        torch.tensor([engine.encode("The capital of France is")]), taps=["ln_final.hook_normalized"]
    )
    vector = torch.from_numpy(state.acts["ln_final.hook_normalized"][0, -1])
    row = engine.model.weights[TABLE][engine.tokenizer.encode(" Paris")[0]]
    assert m["winner"] == " Paris"
    assert m["winner_cosine"] == pytest.approx(float(vector @ row / vector.norm() / row.norm()), abs=1e-5)
    assert 75 < m["winner_angle"] < 85
    assert m["winner_with_scaled_row"] == " the"
    plane = shown(engine, "vector and rows")
    assert isinstance(plane, Plane)
    paris = plane.arrows[1]
    assert paris.x * float(vector.norm()) == pytest.approx(m["winner_logit"], abs=1e-3)


def test_length_beats_angle(engine: Engine) -> None:
    for preset, by_sum, by_angle in (("the longer one wins", " mat", " cat"), ("fish, by the angle", " a", " fish")):
        longer = measured(engine, "dot-product", preset)
        assert (longer["winner"], longer["best_by_cosine"]) == (by_sum, by_angle)
        assert longer["winner_cosine"] < longer["best_cosine"]


def test_rows_right_of_the_words_tip_have_the_larger_sum(engine: Engine) -> None:
    m = measured(engine, "dot-product")
    assert m["tokens_nearer_than_itself_by_dot"] >= 20
    plane = shown(engine, "neighbours")
    assert isinstance(plane, Plane)
    larger = plane.dots[0]
    assert len(larger.x) == m["tokens_nearer_than_itself_by_dot"]
    assert min(larger.x) > plane.arrows[0].x
    assert plane.arrows[0].y == pytest.approx(0, abs=1e-3)
    assert measured(engine, "dot-product", "nobody beats the king")["tokens_nearer_than_itself_by_dot"] == 0


@pytest.mark.parametrize("word", ["Paris", "hot", "king", "the"])
def test_another_spelling_is_no_neighbour(engine: Engine, word: str) -> None:
    m = measured(engine, "dot-product", word=word)
    for name in ("neighbour_by_dot", "neighbour_by_cosine"):
        assert m[name].strip().casefold() != word.casefold()


def test_pairs_grow_with_the_square_of_the_text(engine: Engine) -> None:
    config = engine.model.config
    short, long = measured(engine, "dot-product"), measured(engine, "dot-product", "a long text")
    assert short["query_key_products"] == 5 * 6 / 2 * config.n_layers * config.n_heads
    assert short["query_key_products_unmasked"] == 25 * config.n_layers * config.n_heads
    assert long["query_key_products"] == pytest.approx(
        short["query_key_products"] * (long["tokens"] / short["tokens"]) ** 2, rel=0.2
    )
    assert short["query_key_share"] < 0.01 <= long["query_key_share"] < 0.2


def test_what_is_counted_while_it_runs_is_what_the_formula_says(engine: Engine) -> None:
    m, curve = measured(engine, "dot-product"), shown(engine, "products")
    assert isinstance(curve, Curve)
    matrices = engine.model.weights
    layers = sum(w.numel() for name, w in matrices.items() if w.dim() == 2 and name != TABLE)
    assert m["flops_counted"] == pytest.approx(2 * (m["tokens"] * layers + matrices[TABLE].numel()), rel=0.01)


def test_one_token_and_a_long_text(engine: Engine) -> None:
    assert scored(engine, text="a")["attention_looks_at"] == "a"
    assert scored(engine, text="The cat sat on the mat. " * 120)["attention_score_reproduced_max_abs_diff"] < 1e-4


@pytest.mark.parametrize(
    ("vectors", "problem"),
    [("1 2 1", "3 numbers cannot"), ("1 x 1 2", "not a list"), ("", "please"), ("nan 1", "please"), ("7", "1 number ")],
)
def test_what_is_no_vector_is_said(engine: Engine, vectors: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        measured(engine, "dot-product", vectors=vectors)
