"""What the lesson on weights claims: where they are, that almost none matters, that one does, and exact undo."""

from __future__ import annotations

import itertools

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Heatmap, Table
from llm_holes.engine.measure import fingerprint
from llm_holes.lessons.tier2.weights import experiment as lesson
from tests.support.lessons import frames, measured

QUICK = {"text": "Hi", "kl_tokens": 8, "max_new_tokens": 1, "compare": 1}


def test_the_parts_are_those_of_the_config_and_add_up(engine: Engine) -> None:
    m, c = measured(engine, "weights"), engine.model.config
    layers, d, kv = c.n_layers, c.d_model, c.n_kv_heads * c.d_head
    assert m["parameters_embedding"] == c.d_vocab * d
    assert m["parameters_attention"] == layers * (2 * d * d + 2 * kv * d)
    assert m["parameters_ffn"] == layers * 3 * d * c.d_mlp
    assert m["parameters_norms"] == (2 * layers + 1) * d
    assert m["parameters_total"] == engine.info.parameters
    assert sum(m[f"parameters_{part}"] for part in ("embedding", "attention", "ffn", "norms")) == m["parameters_total"]


def test_one_weight_drawn_does_nothing_and_the_one_found_wrecks_the_model(engine: Engine) -> None:
    ordinary, vital = measured(engine, "weights"), measured(engine, "weights", "the one that matters")
    assert ordinary["kl_nats"] < 1e-4 < 1 < ordinary["kl_found"]
    assert ordinary["kl_random_max"] < 1e-3
    assert ordinary["answer"] == ordinary["answer_changed"]
    assert vital["kl_nats"] == pytest.approx(vital["kl_found"])
    assert vital["perplexity_changed"] > 5 * vital["perplexity_intact"]
    assert "Paris" in vital["answer"]
    assert "Paris" not in vital["answer_changed"]
    assert vital["larger_weights_in_matrix"] >= 1
    assert measured(engine, "weights", "twice as much of it")["kl_nats"] < 0.2
    assert ordinary["undo_bit_identical"] is vital["undo_bit_identical"] is True


def test_pruning_by_size_costs_less_than_at_random(engine: Engine) -> None:
    smallest = measured(engine, "weights", "a tenth of them, the smallest")
    at_random = measured(engine, "weights", "a tenth of them, at random")
    assert 5 * smallest["kl_nats"] < at_random["kl_nats"]


def test_the_window_shows_the_weights_of_the_place(engine: Engine) -> None:
    settings = {**QUICK, "kind": "self_attn.k_proj", "layer": 3, "row": 10**5, "column": 70, "target": "row and column"}
    last = frames(engine, "weights", **settings, damage="flip one weight")[-1]
    w = engine.model.weights["model.layers.3.self_attn.k_proj.weight"]
    assert (last.measured["row"], last.measured["column"]) == (len(w) - 1, 70)
    assert last.measured["weight_value_changed"] == -last.measured["weight_value"] == -float(w[-1, 70])
    window = next(view for view in last.views if isinstance(view, Heatmap))
    assert window.cursor is not None
    assert window.values.numpy()[window.cursor] == float(w[-1, 70])
    assert window.row_names[window.cursor[0]] == str(len(w) - 1)


@pytest.mark.parametrize("kind", ["model.norm", "post_attention_layernorm", "model.embed_tokens"])
def test_vectors_and_the_table_can_be_looked_at_and_zeroed(engine: Engine, kind: str) -> None:
    m = measured(engine, "weights", **QUICK, kind=kind, damage="zero the matrix")
    assert m["undo_bit_identical"] is True
    assert m["weight_value_changed"] == 0
    assert m["kl_nats"] > 0.1


def test_zeroing_a_matrix_leaves_the_stream(engine: Engine) -> None:
    m = measured(engine, "weights", **QUICK, kind="mlp.down_proj", layer=20, damage="zero the matrix")
    assert 0 < m["kl_nats"] < 1


def test_the_tree_lists_each_kind_of_matrix(engine: Engine) -> None:
    tree = next(v for v in frames(engine, "weights")[0].views if isinstance(v, Table))
    down = next(row for row in tree.rows if "down_proj" in str(row[0]))
    assert down[1:] == ("576 × 1536", "× 30", "26,542,080")


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

    monkeypatch.setattr(lesson, "kl_nats", broken)
    with pytest.raises(RuntimeError):
        frames(engine, "weights", **QUICK, target="the one found")
    assert fingerprint(engine.model.weights) == hashed
    assert torch.equal(engine.logits(ids), logits)
