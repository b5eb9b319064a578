"""What the lesson on weights claims: one multiplies, almost none matters, that one does and why, what their order is
worth; and exact undo."""

from __future__ import annotations

import itertools
from typing import Any, TypeVar

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Frame, Heatmap, NumberLine, View
from llm_holes.engine.interpret.logit_lens import residual_stream
from llm_holes.engine.interpret.weight_map import TABLE
from llm_holes.engine.measure import fingerprint
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.weights import WeightScaled
from llm_holes.lessons.tier2.weights import published
from llm_holes.lessons.tier2.weights.at_work import READS, at_work
from llm_holes.lessons.tier2.weights.damage import without
from tests.support.lessons import frames, measured

QUICK: dict[str, Any] = {"text": "Hi", "kl_tokens": 8, "max_new_tokens": 1, "compare": 1}
V = TypeVar("V", bound=View)


WRITES = {"mlp.up_proj": "mlp.hook_pre_linear", "mlp.down_proj": "hook_mlp_out", "self_attn.o_proj": "hook_attn_out"}


def shown(frame: Frame, key: str, kind: type[V]) -> V:
    view = next(v for v in frame.views if v.key == key)
    assert isinstance(view, kind)
    return view


def of(frame: Frame) -> dict[str, Any]:
    return dict(frame.measured)


def test_the_parts_are_those_of_the_config_and_add_up(engine: Engine) -> None:
    m, c = measured(engine, "weights"), engine.model.config
    layers, d, kv = c.n_layers, c.d_model, c.n_kv_heads * c.d_head
    assert m["parameters_embedding"] == c.d_vocab * d
    assert m["parameters_attention"] == layers * (2 * d * d + 2 * kv * d)
    assert m["parameters_ffn"] == layers * 3 * d * c.d_mlp
    assert m["parameters_norms"] == (2 * layers + 1) * d
    assert m["parameters_total"] == engine.info.parameters
    assert sum(m[f"parameters_{part}"] for part in ("embedding", "attention", "ffn", "norms")) == m["parameters_total"]


def test_a_weight_is_multiplied_and_its_row_adds_up_to_what_the_model_had(engine: Engine) -> None:
    ids = engine.encode("The captain opened the door and")
    writes = {
        "mlp.up_proj": "mlp.hook_pre_linear",
        "mlp.down_proj": "hook_mlp_out",
        "self_attn.o_proj": "hook_attn_out",
    }
    for kind, point in writes.items():
        work = at_work(engine, ids, WeightScaled(f"model.layers.11.{kind}.weight", 5, 70, 0.0))
        written = engine.model.forward(torch.tensor([ids]), taps=[tap(11, point)]).acts[tap(11, point)][0, :, 5]
        sums = [float(work.products(n).sum()) for n in range(len(ids))]
        assert sums == pytest.approx(written.tolist(), rel=1e-3, abs=1e-3)


def test_what_the_table_and_a_norm_read_is_what_makes_logits_and_normed_vectors(engine: Engine) -> None:
    ids = engine.encode("The captain opened")
    table = at_work(engine, ids, WeightScaled("model.embed_tokens.weight", 42, 3, 0.0))
    assert float(table.products(2).sum()) == pytest.approx(float(engine.logits(ids)[2, 42]), rel=1e-4)
    norm = at_work(engine, ids, WeightScaled("model.layers.11.input_layernorm.weight", 0, 3, 0.0))
    name = tap(11, READS["mlp.up_proj"].replace("ln2", "ln1"))
    normed = engine.model.forward(torch.tensor([ids]), taps=[name]).acts[name][0, :, 3]
    assert norm.products(1).tolist() == pytest.approx([float(normed[1])], rel=1e-4)


def test_the_products_that_are_shown_add_up(engine: Engine) -> None:
    last = frames(engine, "weights")[-1]
    bars, m = shown(last, "a weight at work", Bars), of(last)
    assert sum(bars.values[:-1]) == pytest.approx(bars.values[-1], rel=1e-4)
    assert bars.values[-1] == m["output_value"]
    assert bars.marked is not None
    assert bars.values[bars.marked] == pytest.approx(m["product_value"])
    assert m["input_value"] * m["weight_value"] == pytest.approx(m["product_value"])


def test_the_neuron_behind_the_vital_weight_fires_at_one_token_only(engine: Engine) -> None:
    last = frames(engine, "weights", "the one that matters")[-1]
    bars, m = shown(last, "token by token", Bars), of(last)
    assert bars.labels[0] == m["found_token"] == "The"
    assert bars.values[0] == m["found_input_value"]
    others = max(map(abs, bars.values[1:]))
    assert others == pytest.approx(m["found_elsewhere_value"])
    assert bars.values[0] > 1000 * others
    assert m["found_product_value"] > 0.7 * m["found_output_value"]


def test_one_weight_drawn_does_nothing_and_the_one_found_wrecks_the_model(engine: Engine) -> None:
    ordinary, vital = measured(engine, "weights"), measured(engine, "weights", "the one that matters")
    assert ordinary["kl_nats"] < 1e-3 < 1 < ordinary["kl_found"]
    assert ordinary["changed_words_share"] < 0.01
    assert ordinary["changed_share_random_max"] < 0.01 < 0.3 < vital["changed_words_share"]
    assert ordinary["answer"] == ordinary["answer_changed"]
    assert vital["changed_words_share"] == pytest.approx(vital["changed_share_found"])
    assert vital["kl_nats"] == pytest.approx(vital["kl_found"])
    assert vital["perplexity_changed"] > 5 * vital["perplexity_intact"]
    assert vital["next_token_damaged"] != vital["next_token"]
    assert vital["larger_weights_in_matrix"] >= 1
    assert measured(engine, "weights", "twice as much of it")["kl_nats"] < 0.2
    assert ordinary["undo_bit_identical"] is vital["undo_bit_identical"] is True


@pytest.mark.parametrize("name", ["model.layers.20.mlp.down_proj", "model.layers.0.self_attn.q_proj", TABLE])
def test_what_is_not_computed_again_below_a_changed_weight_would_be_the_same(engine: Engine, name: str) -> None:
    ids, changed = engine.encode("Once upon a time"), WeightScaled(f"{name}.weight", 3, 5, -20.0)
    stream = residual_stream(engine.model, ids)
    torch.testing.assert_close(without(engine, changed, ids, stream), engine.operated([changed]).logits(ids))


def test_the_same_numbers_in_another_order_know_less_than_nothing(engine: Engine) -> None:
    m = measured(engine, "weights", **QUICK, damage="shuffle", scope="every matrix")
    assert m["loss_intact"] < m["loss_knowing_nothing"] < m["loss_shuffled"] == pytest.approx(m["loss_changed"])
    assert m["knowledge_lost_share"] > 1
    assert measured(engine, "weights", "one matrix shuffled")["knowledge_lost_share"] < 0.25


def test_noise_that_no_weight_would_show_costs_half_of_what_is_known(engine: Engine) -> None:
    m = measured(engine, "weights", "a little noise everywhere")
    assert 0.25 < m["knowledge_lost_share"] < 1


def test_pruning_by_size_costs_less_than_at_random(engine: Engine) -> None:
    smallest = measured(engine, "weights", "a tenth of them, the smallest")
    at_random = measured(engine, "weights", "a tenth of them, at random")
    assert 5 * smallest["kl_nats"] < at_random["kl_nats"]
    assert 3 * smallest["changed_words_share"] < at_random["changed_words_share"]


def test_all_weights_are_on_the_line_and_four_bits_leave_fifteen_values(engine: Engine) -> None:
    last = frames(engine, "weights", **QUICK, bits="4 bits")[-1]
    line = shown(last, "all of them", NumberLine)
    assert 0.999 * engine.info.parameters < sum(line.counts) <= engine.info.parameters
    assert len(line.rungs) == last.measured["values_left"] == 15
    own, becomes = (value for _, value in line.marked)
    assert own == last.measured["weight_value"]
    assert becomes == min(line.rungs, key=lambda rung: abs(rung - own))


@pytest.mark.parametrize("bits", [4, 16])
def test_models_are_drawn_to_scale(engine: Engine, bits: int) -> None:
    last = frames(engine, "weights", **QUICK, bits=f"{bits} bits")[-1]
    bars = shown(last, "to scale", Bars)
    assert bars.values[0] == pytest.approx(engine.info.parameters * bits / 8e9)
    assert bars.values[-1] / bars.values[0] == pytest.approx(last.measured["largest_model_times"])
    assert not shown(last, "all of them", NumberLine).rungs or bits == 4


def test_the_window_shows_the_weights_of_the_place(engine: Engine) -> None:
    settings = {**QUICK, "kind": "self_attn.k_proj", "layer": 3, "row": 10**5, "column": 70, "target": "row and column"}
    last = frames(engine, "weights", **settings, damage="flip one weight")[-1]
    w = engine.model.weights["model.layers.3.self_attn.k_proj.weight"]
    assert (last.measured["row"], last.measured["column"]) == (len(w) - 1, 70)
    assert of(last)["weight_value_changed"] == -of(last)["weight_value"] == -float(w[-1, 70])
    window = shown(last, "inside a matrix", Heatmap)
    assert window.cursor is not None
    assert window.values.numpy()[window.cursor] == float(w[-1, 70])
    assert window.row_names[window.cursor[0]] == str(len(w) - 1)


@pytest.mark.parametrize("kind", ["model.norm", "post_attention_layernorm", "model.embed_tokens"])
def test_vectors_and_the_table_can_be_looked_at_and_zeroed(engine: Engine, kind: str) -> None:
    m = measured(engine, "weights", **QUICK, kind=kind, damage="zero the matrix")
    assert m["undo_bit_identical"] is True
    assert m["weight_value_changed"] == 0
    assert m["kl_nats"] > 0.1
    assert m["product_value"] == pytest.approx(m["input_value"] * m["weight_value"])


def test_zeroing_a_matrix_leaves_the_stream(engine: Engine) -> None:
    m = measured(engine, "weights", **QUICK, kind="mlp.down_proj", layer=20, damage="zero the matrix")
    assert 0 < m["kl_nats"] < 1


@pytest.mark.parametrize("text", ["a", "🙂", "Der Kapitän öffnete die Tür und", "def f(x):"])
def test_any_text_has_a_weight_that_writes_the_most(engine: Engine, text: str) -> None:
    m = measured(engine, "weights", **{**QUICK, "text": text}, target="the one found")
    assert m["weight_value"] == m["found_value"]
    assert m["input_value"] == m["found_input_value"]
    assert m["changed_words_share"] > 0.1


def test_the_model_is_as_it_was_after_a_cancel_and_after_an_error(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = engine.encode("The cat sat")
    hashed, logits = fingerprint(engine.model.weights), engine.logits(ids)
    asked = itertools.count()
    with pytest.raises(Cancelled):
        frames(engine.cancellable(lambda: next(asked) > 100), "weights", **QUICK, target="the one found")

    def broken(*_: object) -> float:
        raise RuntimeError

    monkeypatch.setattr(published, "kl_nats", broken)
    with pytest.raises(RuntimeError):
        frames(engine, "weights", **QUICK, target="the one found")
    assert fingerprint(engine.model.weights) == hashed
    assert torch.equal(engine.logits(ids), logits)
