"""What the lesson on a layer's operations claims: recomputed exactly, two matrices are one, and what bends matters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Table
from llm_holes.engine.measure import fingerprint
from llm_holes.engine.model.hook_names import tap
from tests.support.lessons import frames, measured


def test_the_lengths_are_those_of_the_tapped_stream(engine: Engine) -> None:
    m = measured(engine, "layer-transforms")
    points = ["hook_resid_pre", "hook_attn_out", "hook_mlp_out", "hook_resid_post"]
    ids = torch.tensor([engine.encode("The capital of France is")])
    acts = engine.model.forward(ids, taps=[tap(15, point) for point in points]).acts
    lengths = [float(np.linalg.norm(acts[tap(15, point)][0, 4])) for point in points]
    names = ("stream_norm", "update_norm_attention", "update_norm_ffn", "stream_norm_after")
    assert [m[name] for name in names] == pytest.approx(lengths, rel=1e-4)
    assert m["recomputed_max_abs_diff"] < 1e-4
    assert m["shapes"]["2 query"] == "576 → 9×64"
    assert "576 → 1536" in m["shapes"].values()


def test_two_matrices_are_one_and_a_product_is_not_straight(engine: Engine) -> None:
    m = measured(engine, "layer-transforms")
    assert m["two_matrices_one_relative_diff"] < 1e-4 < 0.1 < m["ffn_differs_from_one_matrix"]
    assert m["doubled_without_gate"] == pytest.approx(2, rel=1e-4)
    assert m["doubled_without_nonlinearity"] == pytest.approx(4, rel=1e-4)
    assert 2 < m["doubled_silu"] < 4


def test_without_a_bend_the_model_is_worse_than_knowing_nothing(engine: Engine) -> None:
    unbent = measured(engine, "layer-transforms", "no nonlinearity at all")
    assert unbent["loss_changed"] > unbent["loss_knowing_nothing"] > unbent["loss_intact"]
    assert 0.1 < unbent["kl_gelu"] < unbent["kl_relu"] < unbent["kl_without_nonlinearity"] == unbent["kl_nats"]
    assert measured(engine, "layer-transforms", "another curve in one layer")["kl_nats"] < 0.1
    assert measured(engine, "layer-transforms", "one layer straight")["kl_nats"] > 1
    assert measured(engine, "layer-transforms", "one layer without its norm")["kl_nats"] > 5


def test_what_is_no_number_is_said_in_numbers(engine: Engine) -> None:
    m = measured(engine, "layer-transforms", "no nonlinearity at all")
    assert m["kl_without_norm"] > 10
    assert m["undo_bit_identical"] is True


def test_the_first_token_is_huge(engine: Engine) -> None:
    first = frames(engine, "layer-transforms", "the first token")[0]
    bars = next(view for view in first.views if isinstance(view, Bars))
    assert bars.values[3] > 50 * bars.values[0]
    parts = next(view for view in first.views if isinstance(view, Table))
    assert len(parts.rows) == 16


@pytest.mark.parametrize("text", ["a", "🙂", "日本"])
def test_any_text_and_a_position_beyond_its_end(engine: Engine, text: str) -> None:
    m = measured(engine, "layer-transforms", text=text, kl_tokens=8, max_new_tokens=1, layers="only one")
    assert m["undo_bit_identical"] is True
    assert m["recomputed_max_abs_diff"] < 1e-2


def test_cancelled_in_the_middle_the_model_is_as_it_was(engine: Engine) -> None:
    hashed, asked = fingerprint(engine.model.weights), itertools.count()
    with pytest.raises(Cancelled):
        frames(engine.cancellable(lambda: next(asked) > 150), "layer-transforms", text="a cat")
    assert fingerprint(engine.model.weights) == hashed
