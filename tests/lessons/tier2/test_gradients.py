"""What the lesson on gradients claims: they are right, they teach, too long a step harms, and nothing stays."""

from __future__ import annotations

import itertools

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Curve
from llm_holes.engine.interpret.gradients import MAX_TOKENS, activation_bytes, gradients, losses_along
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


def test_the_walk_grows_with_every_step(engine: Engine) -> None:
    lengths = [
        len(view.series[0].y)
        for frame in frames(engine, "gradients")
        for view in frame.views
        if isinstance(view, Curve) and view.key == "the walk"
    ]
    assert lengths == [1, 2, 3, 4, 5, 6, 6, 6]


def test_the_ground_ends_elsewhere_than_the_line(engine: Engine) -> None:
    wide, narrow = measured(engine, "gradients"), measured(engine, "gradients", "teach it a lie")
    sizes, losses = wide["step_sizes"], wide["loss_by_step_size"]
    assert losses[0] == wide["loss_before"]
    assert (wide["best_step_size"], wide["best_step_loss"]) == min(
        zip(sizes, losses, strict=True), key=lambda at: at[1]
    )
    assert wide["best_to_promised"] >= 1.5
    assert narrow["best_to_promised"] < 0.6
    slope = (losses[0] - losses[1]) / sizes[1]
    assert slope == pytest.approx(losses[0] / wide["promised_zero_step"], rel=0.05), "near you it is the line"
    assert all(a > b for a, b in itertools.pairwise(losses[: losses.index(min(losses)) + 1]))


def test_a_loss_along_the_gradient_is_the_loss_after_a_step(engine: Engine) -> None:
    m = measured(engine, "gradients", "one long step")
    ids = engine.encode("The capital of Freedonia is Zog")
    found = gradients(engine.model, ids)
    assert list(losses_along(engine.model, ids, found, [0.01])) == pytest.approx([m["loss_first_step"]], rel=1e-4)


def test_the_best_single_step_repeated_is_thrown_out(engine: Engine) -> None:
    long, short = (
        measured(engine, "gradients", learning_rate="0.01", steps=4),
        measured(engine, "gradients", "short steps"),
    )
    assert long["loss_first_step"] < 0.3 * long["loss_before"]
    assert long["loss_after"] > 5
    assert short["loss_after"] < 1


def test_training_keeps_four_numbers_where_a_chat_keeps_one(engine: Engine) -> None:
    m = measured(engine, "gradients")
    assert m["weight_bytes"] == 4 * engine.info.parameters
    assert m["training_bytes"] == 4 * m["weight_bytes"] + m["activation_bytes"]
    ids = engine.encode("one two three four five six seven eight")
    few, many = (activation_bytes(engine.model, some) for some in (ids[:4], ids))
    assert 1.5 < many / few < 2.5, "activations grow with the text"


@pytest.mark.parametrize(
    ("text", "word"), [("a", "a"), ("日本の首都は", None), ("It is Zorbulon.", " Zorbulon."), ("🥐 👩‍🚀?", " 👩‍🚀?")]
)
def test_any_text_has_an_end_to_teach(engine: Engine, text: str, word: str | None) -> None:
    ids, target = taught(engine, text)
    assert len(ids) >= 2
    assert 1 <= target < len(ids)
    if word is not None:
        assert engine.tokenizer.decode(ids[-target:]) == word


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
