"""What the lesson on gradients claims: they are right, they teach, too long a step harms, and nothing stays."""

from __future__ import annotations

import itertools

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Curve
from llm_holes.engine.interpret.gradients import MAX_TOKENS
from llm_holes.engine.measure import fingerprint
from llm_holes.lessons.tier2.gradients.experiment import taught
from tests.support.lessons import frames, measured


def test_the_sentence_is_learnt_and_the_model_is_as_it_was(engine: Engine) -> None:
    hashed = fingerprint(engine.model.weights)
    m = measured(engine, "gradients")
    assert m["target"] == " Zog"
    assert m["finite_difference_rel_error"] < 0.01
    assert m["one_weight_rel_error"] < 0.02
    assert len(m["grad_norm_per_layer"]) == 30
    assert m["table_rows_with_gradient"] == 49152
    assert m["loss_after"] < 2 < 5 < m["loss_before"]
    assert m["p_target_before"] < 1e-4 < 0.1 < m["p_target_after"]
    assert m["undo_bit_identical"] is True
    assert fingerprint(engine.model.weights) == hashed


def test_a_short_step_keeps_its_promise_and_a_long_one_cannot(engine: Engine) -> None:
    short, long = measured(engine, "gradients", "a very short step"), measured(engine, "gradients", "one long step")
    promised = short["loss_before"] - short["loss_promised_first_step"]
    assert short["loss_before"] - short["loss_first_step"] == pytest.approx(promised, rel=0.05)
    assert long["loss_promised_first_step"] < 0 < long["loss_first_step"]


def test_too_long_steps_make_everything_worse(engine: Engine) -> None:
    m = measured(engine, "gradients", "too far")
    assert m["loss_after"] > m["loss_before"]
    assert m["perplexity_after"] > 100 * m["perplexity_before"]
    assert m["p_probe_after"] < 0.01 < m["p_probe_before"]
    assert m["undo_bit_identical"] is True


def test_a_slope_near_zero_is_nudged_far_enough_to_be_measured(engine: Engine) -> None:
    m = measured(engine, "gradients", text="a", steps=1)
    assert m["finite_difference_rel_error"] < 0.01
    assert m["one_weight_rel_error"] < 0.05


def test_the_curve_grows_with_every_step(engine: Engine) -> None:
    lengths = [
        len(view.series[0].y)
        for frame in frames(engine, "gradients")
        for view in frame.views
        if isinstance(view, Curve) and view.title.startswith("loss")
    ]
    assert lengths == [1, 2, 3, 4, 5, 5]


@pytest.mark.parametrize(("text", "word"), [("a", "a"), ("日本の首都は", None), ("It is Zorbulon.", " Zorbulon.")])
def test_any_text_has_an_end_to_teach(engine: Engine, text: str, word: str | None) -> None:
    ids, target = taught(engine, text)
    assert len(ids) >= 2
    assert 1 <= target < len(ids)
    if word is not None:
        assert "".join(map(engine.token_text, ids[-target:])) == word


def test_of_a_long_text_the_end_is_taught(engine: Engine) -> None:
    ids, _ = taught(engine, "one two three " * 200)
    assert ids == engine.encode("one two three " * 200)[-MAX_TOKENS:]


def test_cancelled_between_steps_the_weights_are_untouched(engine: Engine) -> None:
    hashed, logits = fingerprint(engine.model.weights), engine.logits([1, 2, 3])
    asked = itertools.count()
    with pytest.raises(Cancelled):
        frames(engine.cancellable(lambda: next(asked) > 200), "gradients", text="a cat")
    assert fingerprint(engine.model.weights) == hashed
    assert torch.equal(engine.logits([1, 2, 3]), logits)


def test_a_lie_about_one_country_spreads_to_another(engine: Engine) -> None:
    m = measured(engine, "gradients", "teach it a lie")
    assert m["probe_next"] == " Madrid"
    assert m["probe_next_after"] != " Madrid"
    assert m["p_target_after"] > 0.2
