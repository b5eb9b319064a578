"""What the lesson on many heads claims: one look for all ruins the model, few heads are missed alone, cost is not the
reason, tiles change nothing."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Diff, Frame, Gallery, Heatmap, View
from llm_holes.engine.interpret.ablation_sweep import without_each_head
from llm_holes.engine.measure import fingerprint, kl_nats
from llm_holes.engine.numbers import figure
from llm_holes.engine.surgery.operations import HeadOff
from llm_holes.lessons.shared.architectures import scores_of_layers
from llm_holes.lessons.tier4.multi_head_attention.head_costs import cost_table, costs, tile_map
from tests.support.lessons import frames, measured


def shown(found: list[Frame], key: str) -> View:
    return next(view for view in found[-1].views if view.key == key)


def test_the_heads_of_a_word_look_at_different_places_and_their_mean_is_above_them(engine: Engine) -> None:
    found = frames(engine, "multi-head-attention")
    heads, gallery = shown(found, "one word"), shown(found, "the heads")
    assert isinstance(heads, Heatmap)
    looks = heads.values.numpy()
    assert looks.shape == (10, 8)
    assert np.allclose(looks.sum(1), 1, atol=1e-5)
    assert np.allclose(looks[0], looks[1:].mean(0), atol=1e-6)
    assert heads.row_names[0] == "mean"
    assert found[-1].measured["favourites"] == len({int(row.argmax()) for row in looks[1:]}) >= 4
    assert isinstance(gallery, Gallery)
    assert gallery.labels[9] == "mean"
    assert np.array_equal(gallery.values.numpy()[:, 7], np.rint(100 * np.roll(looks, -1, axis=0))), (
        "its last row is this word"
    )


def test_one_look_for_all_ruins_the_model_though_hardly_one_layer_needs_its_own(engine: Engine) -> None:
    m = measured(engine, "multi-head-attention")
    assert m["perplexity_intact"] == pytest.approx(36.65, abs=0.01)
    assert m["loss_shared_pattern"] > m["loss_intact"] + 4
    assert m["changed_share_shared_pattern"] > 0.7
    alone = measured(engine, "multi-head-attention", "one layer gives in")
    assert alone["changed_share_shared_pattern"] < 0.15
    lowest = measured(engine, "multi-head-attention", "the lowest layer alone")
    assert lowest["changed_share_shared_pattern"] > 3 * alone["changed_share_shared_pattern"]
    bars = shown(frames(engine, "multi-head-attention"), "one look for all")
    assert isinstance(bars, Bars)
    assert dict(zip(bars.labels, bars.values, strict=True))["all layers"] == m["changed_share_shared_pattern"]
    texts = shown(frames(engine, "multi-head-attention"), "what it writes")
    assert isinstance(texts, Diff)
    assert texts.before != texts.after


def test_one_wide_head_is_not_compared_with_itself(engine: Engine) -> None:
    for heads, rows in ((1, 2), (0, 3)):
        found = costs(engine, torch.randn(2, 576), 0, 4096, heads) | {"heads": 9}
        table = cost_table(found, 4096)
        assert len({row[0] for row in table.rows}) == len(table.rows) == rows
        assert table.rows[0] == ("1 head as wide as all", "49.5 billion", "64 MiB")


def test_tiles_are_drawn_in_the_order_in_which_they_are_computed() -> None:
    turns = tile_map(tuple("abcde"), 2).values.numpy()
    assert [int(turns[row, column]) for row, column in ((0, 0), (1, 1), (2, 0), (3, 3), (4, 4))] == [1, 1, 2, 3, 6]
    assert np.isnan(turns[0, 1])


def test_every_head_is_silenced_with_progress_and_the_distribution_is_shown(engine: Engine) -> None:
    found = frames(engine, "multi-head-attention", ablate="every head")
    m: dict[str, Any] = dict(found[-1].measured)
    assert m["heads_silenced"] == len(m["head_importance"]) == 270
    steps = [frame.progress for frame in found[:-1]]
    assert len(steps) > 5
    assert steps == sorted(steps)  # type: ignore[type-var]
    map_ = shown(found, "without one head")
    assert isinstance(map_, Heatmap)
    assert map_.values.shape == (30, 9)
    assert len(map_.details) == 270
    assert map_.details[9 + 5] == f"silenced, KL {figure(m['head_importance'][14])} nats"
    bars = shown(found, "how many matter")
    assert isinstance(bars, Bars)
    assert sum(bars.values) == 270
    assert m["head_importance"][9:18] == pytest.approx(
        measured(engine, "multi-head-attention")["head_importance"], rel=1e-2, abs=1e-5
    )
    assert m["share_hardly_missed"] > 0.25
    assert m["kl_most_important_head"] > 20 * m["kl_median_head"]


def test_importance_equals_silencing_the_head_alone(engine: Engine) -> None:
    ids = engine.encode("The dog chased the cat because it")
    intact = engine.logits(ids)
    found = [layer for some in without_each_head(engine.model, ids, [1, 18, 29]) for layer in some]
    for n, (layer, head) in enumerate(((1, 5), (18, 6), (29, 0))):
        alone = kl_nats(intact, engine.operated([HeadOff(layer, head)]).logits(ids))
        assert found[n][head] == pytest.approx(alone, rel=1e-2, abs=1e-5)
    m = measured(engine, "multi-head-attention")
    alone = kl_nats(intact[:5], engine.operated([HeadOff(1, 5)]).logits(ids[:5]))
    assert m["head_importance"][5] == pytest.approx(alone, rel=1e-2, abs=1e-5)


def test_costs_are_met_by_counting_and_do_not_depend_on_the_number_of_heads(engine: Engine) -> None:
    m = measured(engine, "multi-head-attention", "one wide head")
    assert m["flops_counted_to_formula"] == m["score_bytes_counted_to_formula"] == 1
    assert m["flops_multi"] == m["flops_single"]
    assert m["score_bytes"] == 9 * m["score_bytes_single"] == 9 * 100_000**2 * 4
    nine = costs(engine, torch.randn(2, 576), 29, 100, 0)
    assert nine["score_bytes"] == 9 * nine["score_bytes_single"]


def test_tiles_equal_the_models_own_attention(engine: Engine) -> None:
    for preset in ("", "five copyists"):
        assert measured(engine, "multi-head-attention", preset)["tiled_equals_plain_max_abs_diff"] < 1e-4


def test_a_copying_head_alone_is_hardly_missed(engine: Engine) -> None:
    m = measured(engine, "multi-head-attention", "five copyists")
    assert m["heads_silenced"] == 9
    assert m["head_importance"][6] < 0.1
    assert (
        m["kl_most_important_head"]
        < measured(engine, "multi-head-attention", "an early layer")["kl_most_important_head"]
    )


def test_one_token_and_long_texts(engine: Engine) -> None:
    one = frames(engine, "multi-head-attention", text="a", ablate="this layer", layer=29, tile=128, max_new_tokens=1)[
        -1
    ]
    assert one.measured["tiled_equals_plain_max_abs_diff"] < 1e-4  # type: ignore[operator]
    long = frames(engine, "multi-head-attention", text="one 🙂 zwei " * 60, layer=29, head=2, max_new_tokens=1)[-1]
    gallery = next(view for view in long.views if isinstance(view, Gallery))
    assert gallery.values.shape == (10, 16, 16)
    assert gallery.cursor == 2
    map_ = shown([long], "without one head")
    assert isinstance(map_, Heatmap)
    assert (map_.row_control, map_.column_control) == ("", "head")


def test_published_models_have_scores_for_each_query_head_but_a_cache_for_shared_ones() -> None:
    rows = {row[0]: row[1:] for row in scores_of_layers(8192).rows}
    assert rows["Llama-3-8B"] == (32, 8, 4.0, 1.0)
    assert rows["Llama-2-7B"] == (32, 32, 4.0, 4.0)


def test_cancelled_between_heads_the_model_is_as_it_was(engine: Engine) -> None:
    hashed, asked = fingerprint(engine.model.weights), itertools.count()
    with pytest.raises(Cancelled):
        frames(engine.cancellable(lambda: next(asked) > 60), "multi-head-attention", text="once")
    assert fingerprint(engine.model.weights) == hashed
