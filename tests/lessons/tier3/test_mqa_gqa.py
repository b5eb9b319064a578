"""What the lesson says of copied, merged and exchanged keys, against the model itself and published arithmetic."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Diff
from llm_holes.engine.surgery.kv_latent import KVLatent, fitted
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.shared.architectures import ARCHITECTURES
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.tier3.mqa_gqa.alike import likeness
from llm_holes.lessons.tier3.mqa_gqa.merged import kept_bytes
from llm_holes.lessons.tier3.mqa_gqa.sharing import drawn
from tests.support.lessons import frames, measured

ID = "mqa-gqa"


def test_copies_change_the_cache_and_nothing_else(engine: Engine) -> None:
    m, config = measured(engine, ID), engine.model.config
    assert (m["kv_heads"], m["query_heads"]) == (3, 9)
    assert m["logits_max_abs_diff_expand"] <= 1e-5
    assert m["kl_expand"] < 1e-6
    assert m["cache_bytes"] == 128 * config.kv_bytes_per_token()
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


def test_as_many_bytes_in_a_short_list_for_all_heads_and_it_still_knows_paris(engine: Engine) -> None:
    short, pooled = measured(engine, ID, "as small, and it works"), measured(engine, ID)
    assert short["cache_bytes_pooled"] == pooled["cache_bytes_pooled"] == short["cache_bytes"] / 3
    assert short["perplexity_pool"] < 2 * short["perplexity_intact"]
    answers = next(view for view in frames(engine, ID, "as small, and it works")[-1].views if isinstance(view, Diff))
    assert "Paris" in answers.after


def test_bytes_are_counted_in_each_layer_that_shares(engine: Engine) -> None:
    config = engine.model.config
    one, half, whole = (kept_bytes(config, "mean", layers, 128) for layers in (1, 15, 30))
    built = kept_bytes(config, "exchange", 30, 128)
    assert built == 128 * config.kv_bytes_per_token()
    assert (built - one, built - half) == (built * 2 // 90, built // 3)
    assert whole == kept_bytes(config, "short list", 30, 128) == built // 3


def test_the_second_layer_is_missed_most_and_the_last_one_least(engine: Engine) -> None:
    m = measured(engine, ID, layers="only one", every_layer=True, max_new_tokens=1)
    kls = m["kl_pool_per_layer"]
    assert len(kls) == engine.model.config.n_layers
    assert m["worst_layer"] == kls.index(max(kls)) == 1
    assert kls.index(min(kls)) == len(kls) - 1
    alone = measured(engine, ID, layers="only one", layer=1, tokens=64, max_new_tokens=1)
    assert kls[1] == pytest.approx(alone["kl_pool"], rel=1e-3), "the layers below are not computed again"


def test_sharing_keys_does_not_make_heads_alike(engine: Engine) -> None:
    m = measured(engine, ID)
    assert m["pattern_cosine_gap"] < 0.1
    assert 0 < m["pattern_cosine_inside_all"] - m["pattern_cosine_across_all"] < 0.15
    assert measured(engine, ID, "heads that do agree")["pattern_cosine_gap"] > 0.25


def test_likeness_is_of_the_heads_of_one_group_or_of_two(engine: Engine) -> None:
    found = likeness(engine, passage_ids(engine, 24), 3)
    same = [(a, b) for a in range(9) for b in range(9) if a != b and a // 3 == b // 3]
    other = [(a, b) for a in range(9) for b in range(9) if a // 3 != b // 3]
    assert found.inside == pytest.approx(sum(float(found.cosines[p]) for p in same) / 18, abs=1e-5)
    assert found.across == pytest.approx(sum(float(found.cosines[p]) for p in other) / 54, abs=1e-5)
    assert [float(found.cosines[n, n]) for n in range(9)] == pytest.approx([1] * 9, abs=1e-5)


@pytest.mark.parametrize(("heads", "kv_heads"), [(9, 9), (9, 3), (9, 1), (32, 8), (71, 1), (14, 2), (128, 8), (4, 2)])
def test_each_bracket_stands_over_its_keys_in_any_model(heads: int, kv_heads: int) -> None:
    queries, lines, owners = drawn(heads, kv_heads)
    assert len(queries) == len(lines) == len(owners) <= 48
    shown = queries.split()
    assert shown[: len(shown) - ("…" in shown)] == [f"Q{n}" for n in range(len(shown) - ("…" in shown))]
    assert ("…" in shown) == (heads > 9 or heads > len(shown))
    middles = [n for n, mark in enumerate(lines) if mark in "┼┬│"]
    groups = [name for name in owners.split() if name != "…"]
    assert groups == [f"KV{n}" for n in range(len(groups))]
    assert len(middles) == len(groups)
    assert all("K" in owners[max(at - 2, 0) : at + 2] for at in middles)


def test_a_short_list_as_long_as_all_heads_loses_nothing(engine: Engine) -> None:
    """The directions are orthonormal, so with as many as there are numbers the matrices come out as they were."""
    config = engine.model.config
    size = 2 * config.n_kv_heads * config.d_head
    name = "model.layers.3.self_attn.k_proj.weight"
    directions = torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(1))).Q
    kept = KVLatent({3: directions}).apply(engine.model)
    assert torch.allclose(kept.weights[name], engine.model.weights[name], atol=1e-4)
    fitted_to = fitted(engine.model, [3], 16, passage_ids(engine, 32)).directions[3]
    assert fitted_to.shape == (size, 16)
    assert torch.allclose(fitted_to.T @ fitted_to, torch.eye(16), atol=1e-4)


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
    assert (m["mla_cache_bytes"], m["mla_cache_bytes_if_own"]) == (61 * 576 * 2 * 100_000, 61 * 128 * 320 * 2 * 100_000)
    assert bars.labels[0].startswith("128 KV heads")
    assert bars.values == pytest.approx((bars.values[2] * 128, bars.values[2] * 8, bars.values[2]))
    control = next(c for c in catalog.load()[ID].controls if c.name == "architecture")
    assert control.choices == tuple(a.name for a in ARCHITECTURES)


def test_a_token_and_other_scripts(engine: Engine) -> None:
    m = measured(engine, ID, text="🙂", tokens=2, max_new_tokens=1, pooling="first")
    assert m["perplexity_pool"] > 0
