"""What the lesson says of copied, merged and exchanged keys, against the model itself and published arithmetic."""

from __future__ import annotations

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Diff
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.shared.architectures import ARCHITECTURES
from tests.support.lessons import frames, measured

ID = "mqa-gqa"


def test_copies_change_the_cache_and_nothing_else(engine: Engine) -> None:
    m, config = measured(engine, ID), engine.model.config
    assert (m["kv_heads"], m["query_heads"]) == (3, 9)
    assert m["logits_max_abs_diff_expand"] <= 1e-5
    assert m["kl_expand"] < 1e-6
    assert m["cache_bytes"] == 40 * config.kv_bytes_per_token()
    assert m["cache_bytes_expanded"] == 3 * m["cache_bytes"] == 9 * m["cache_bytes_pooled"]


def test_one_head_for_all_ruins_the_model_however_it_is_made(engine: Engine) -> None:
    mean, best = (measured(engine, ID, preset) for preset in ("", "the best head for all"))
    assert mean["perplexity_intact"] < 50
    assert mean["perplexity_pool"] > 1000
    assert best["perplexity_pool"] > 5 * mean["perplexity_pool"]
    assert mean["text_differs"] is True
    answers = next(view for view in frames(engine, ID)[-1].views if isinstance(view, Diff))
    assert "Paris" in answers.before
    assert "Paris" not in answers.after


def test_keys_dealt_out_wrongly_ruin_it_with_every_weight_kept(engine: Engine) -> None:
    m = measured(engine, ID, "nothing lost, only exchanged")
    assert m["perplexity_pool"] > 1000
    assert m["cache_bytes_pooled"] == m["cache_bytes"]


def test_one_layer_in_the_middle_hardly_notices_and_the_second_does(engine: Engine) -> None:
    middle = measured(engine, ID, "one layer hardly notices")
    early = measured(engine, ID, layers="only one", layer=1, tokens=24, max_new_tokens=1)
    assert middle["layers_changed"] == early["layers_changed"] == 1
    assert middle["kl_pool"] < 0.1 < 0.5 < early["kl_pool"]


@pytest.mark.parametrize("preset", ["", "the best head for all", "nothing lost, only exchanged"])
def test_undo_is_exact(engine: Engine, preset: str) -> None:
    assert measured(engine, ID, preset)["undo_bit_identical"] is True


def test_the_calculator_knows_the_published_shapes(engine: Engine) -> None:
    m = measured(engine, ID)
    assert m["architecture"] == "Llama-3-70B"
    assert m["architecture_cache_bytes"] == 100_000 * 80 * 2 * 8 * 128 * 2
    assert m["architecture_cache_bytes_ungrouped"] == 8 * m["architecture_cache_bytes"]
    largest = frames(engine, ID, "the largest Llama")[-1]
    bars = next(view for view in largest.views if isinstance(view, Bars))
    assert bars.labels[0].startswith("128 KV heads")
    assert bars.values == pytest.approx((bars.values[2] * 128, bars.values[2] * 8, bars.values[2]))
    control = next(c for c in catalog.load()[ID].controls if c.name == "architecture")
    assert control.choices == tuple(a.name for a in ARCHITECTURES)


def test_a_token_and_other_scripts(engine: Engine) -> None:
    m = measured(engine, ID, text="🙂", tokens=2, max_new_tokens=1, pooling="first")
    assert m["perplexity_pool"] > 0
