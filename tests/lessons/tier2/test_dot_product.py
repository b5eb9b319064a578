"""The dot product: by hand, and the three places in the model where the same sum is made."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Table
from llm_holes.engine.model.decoder import inverse_frequencies, rotary, rotate
from llm_holes.engine.surgery.vectors import TABLE
from llm_holes.lessons.tier2.dot_product.experiment import turned
from tests.support.lessons import frames, measured


def test_the_sum_by_hand(engine: Engine) -> None:
    last = frames(engine, "dot-product")[-1]
    assert last.measured["dot"] == 2 * 4 - 3 * 1 + 1 * 5
    assert last.measured["cosine"] == pytest.approx(10 / (14 * 42) ** 0.5)
    terms = next(view for view in last.views if view.key == "term by term")
    assert isinstance(terms, Table)
    assert [row[3] for row in terms.rows] == [8, 5, 10]
    assert measured(engine, "dot-product", "at right angles")["dot"] == 0
    assert measured(engine, "dot-product", "aligned")["cosine"] == pytest.approx(1)


def test_scores_and_logits_of_the_model_are_reproduced(engine: Engine) -> None:
    for layer, head in ((0, 0), (18, 6), (29, 8)):
        m = measured(engine, "dot-product", text="Er sagte: 今天天气很好 🙂 and left.", layer=layer, head=head)
        assert m["attention_score_reproduced_max_abs_diff"] < 1e-4
        assert m["logit_reproduced_max_abs_diff"] < 1e-4


def test_turning_by_complex_numbers_is_the_decoders_rotation(engine: Engine) -> None:
    config = engine.model.config
    x = torch.randn(6, config.d_head, generator=torch.Generator().manual_seed(0))
    theirs = rotate(x[None, :, None], rotary(config, 3, 9))[0, :, 0]
    assert (turned(x, inverse_frequencies(config), 3) - theirs).abs().max() < 1e-5


def test_only_the_distance_between_query_and_key_counts(engine: Engine) -> None:
    config = engine.model.config
    q, k = torch.randn(2, 1, config.d_head, generator=torch.Generator().manual_seed(0))
    frequency = inverse_frequencies(config)
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
    assert 0.1 < m["winner_cosine"] < 0.3
    assert m["winner_with_scaled_row"] == " the"


def test_length_beats_angle(engine: Engine) -> None:
    m = measured(engine, "dot-product")
    assert m["tokens_nearer_than_itself_by_dot"] > 5
    assert m["neighbour_by_cosine"].strip().lower() == "paris"
    assert m["neighbour_by_dot"].strip().lower() != "paris"
    longer = measured(engine, "dot-product", "the longer one wins")
    assert (longer["winner"], longer["best_by_cosine"]) == (" mat", " cat")
    assert longer["winner_cosine"] < longer["best_cosine"]


def test_one_token_and_a_long_text(engine: Engine) -> None:
    assert measured(engine, "dot-product", text="a")["attention_looks_at"] == "a"
    long = measured(engine, "dot-product", text="The cat sat on the mat. " * 120)
    assert long["attention_score_reproduced_max_abs_diff"] < 1e-4


@pytest.mark.parametrize(
    ("a", "b", "problem"),
    [("1 2", "1", "2 and 1"), ("1 x", "1 2", "not a list"), ("", "1", "needs"), ("nan", "1", "needs")],
)
def test_what_is_no_vector_is_said(engine: Engine, a: str, b: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        measured(engine, "dot-product", a=a, b=b)
