"""What the lesson on many heads claims: most are not missed alone, cost is not the reason, tiles change nothing."""

from __future__ import annotations

import itertools

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Gallery, Heatmap
from llm_holes.engine.measure import fingerprint, kl_nats
from llm_holes.engine.numbers import figure
from llm_holes.engine.surgery.operations import HeadOff
from llm_holes.lessons.shared.architectures import scores_of_layers
from tests.support.lessons import frames, measured


def test_every_head_is_silenced_with_progress_and_the_distribution_is_shown(engine: Engine) -> None:
    found = frames(engine, "multi-head-attention")
    m = found[-1].measured
    assert m["heads_silenced"] == len(m["head_importance"]) == 270  # type: ignore[arg-type]
    steps = [frame.progress for frame in found[:-1]]
    assert len(steps) > 5
    assert steps == sorted(steps)  # type: ignore[type-var]
    map_ = next(view for view in found[-1].views if isinstance(view, Heatmap))
    assert map_.values.shape == (30, 9)
    assert len(map_.details) == 270
    assert map_.details[9 + 5] == f"silenced, KL {figure(m['head_importance'][14])} nats"  # type: ignore[index]
    bars = next(view for view in found[-1].views if isinstance(view, Bars))
    assert sum(bars.values) == 270
    assert m["share_hardly_missed"] > 0.25  # type: ignore[operator]
    assert m["kl_most_important_head"] > 20 * m["kl_median_head"]  # type: ignore[operator]


def test_importance_equals_silencing_the_head_alone(engine: Engine) -> None:
    m = measured(engine, "multi-head-attention")
    ids = engine.encode("The cat sat on the mat.")
    intact = engine.logits(ids)
    for layer, head in ((1, 5), (18, 6), (29, 0)):
        alone = kl_nats(intact, engine.operated([HeadOff(layer, head)]).logits(ids))
        assert m["head_importance"][9 * layer + head] == pytest.approx(alone, rel=1e-2, abs=1e-5)


def test_costs_are_met_by_counting_and_do_not_depend_on_the_number_of_heads(engine: Engine) -> None:
    m = measured(engine, "multi-head-attention", "one wide head")
    assert m["flops_counted_to_formula"] == m["score_bytes_counted_to_formula"] == 1
    assert m["flops_multi"] == m["flops_single"]
    assert m["score_bytes"] == 9 * m["score_bytes_single"] == 9 * 100_000**2 * 4
    nine = measured(engine, "multi-head-attention", text="a b", ablate="this layer", layer=29, tokens=100)
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
    one = frames(engine, "multi-head-attention", text="a", ablate="this layer", layer=29, tile=128)[-1]
    assert one.measured["tiled_equals_plain_max_abs_diff"] < 1e-4  # type: ignore[operator]
    long = frames(engine, "multi-head-attention", text="one 🙂 zwei " * 400, ablate="this layer", layer=29, head=2)[-1]
    gallery = next(view for view in long.views if isinstance(view, Gallery))
    assert gallery.values.shape == (9, 16, 16)
    assert gallery.cursor == 2
    map_ = next(view for view in long.views if isinstance(view, Heatmap))
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
