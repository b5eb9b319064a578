"""What the lesson on layers claims: the lens, layers that can be spared and one that cannot, and exact undo."""

from __future__ import annotations

import itertools

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Heatmap, RankRace
from llm_holes.engine.interpret.ablation_sweep import without_each_layer
from llm_holes.engine.measure import fingerprint
from llm_holes.engine.surgery.ablations import LayerSkipped, LayersSwapped
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.tier2.model_layers.chosen_layers import chosen, listed
from llm_holes.lessons.tier2.model_layers.experiment import STRIP
from tests.support.lessons import frames, measured


def test_layers_are_named_by_numbers_and_ranges() -> None:
    assert listed("3, 7-9 8", 30) == [3, 7, 8, 9]
    assert listed("  ", 30) == []
    assert listed("first middle+1 last-2, 4", 30) == [0, 16, 27, 4]
    assert listed("middle-4 last+1", 4) == [0, 3]
    assert chosen("1", "4 5", 30) == [LayersSwapped(4, 5), LayerSkipped(1)]


@pytest.mark.parametrize("text", ["30", "-1", "9-7", "x", "1.5", "99999", "middle+x"])
def test_what_is_no_layer_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        listed(text, 30)
    with pytest.raises(InputError):
        chosen("", "3", 30)


def test_the_answer_appears_late_and_the_sum_of_updates_is_the_stream(engine: Engine) -> None:
    m = measured(engine, "model-layers")
    assert m["answer"] == " Paris"
    assert m["answer_first_top1_layer"] == m["layers"] - 1 == 29
    assert m["p_answer_halfway"] < 1e-6
    assert m["updates_sum_relative_diff"] < 1e-4
    assert m["undo_bit_identical"] is True
    assert m["answer_changed"] == " Paris"
    assert m["kl_median_layer"] < 0.6 < m["kl_most_important"] == m["kl_per_skipped_layer"][m["most_important_layer"]]


def test_the_answer_climbs_in_the_last_layers_only(engine: Engine) -> None:
    m = measured(engine, "model-layers")
    ranks = m["answer_rank_per_layer"]
    assert len(ranks) == m["layers"] + 1
    assert ranks[-1] == 1
    assert min(ranks[:23]) > 1000, "no layer before number 22 brings it near"
    assert ranks[-6] < 200 < ranks[23]
    early = measured(engine, "model-layers", "a phrase everybody knows")
    assert early["answer_rank_halfway"] < 100 < m["answer_rank_halfway"]
    race = next(view for view in frames(engine, "model-layers")[-1].views if isinstance(view, RankRace))
    assert race.runners[0].ranks == tuple(ranks)


def test_the_middle_is_spared_and_order_matters_less_than_presence(engine: Engine) -> None:
    m = measured(engine, "model-layers")
    assert m["changed_middle_of_100"] < m["changed_early_of_100"]
    assert m["swaps_milder"] > 20
    assert m["words_changed_of_100"] < 30
    first = measured(engine, "model-layers", "without the first")
    assert first["words_changed_of_100"] >= 70
    alone = next(without_each_layer(engine.model, passage_ids(engine, STRIP)))[0]
    assert first["words_changed_share"] == pytest.approx(alone.changed, rel=1e-3)
    assert first["kl_changed"] == pytest.approx(alone.kl, rel=1e-3)


def test_the_first_layer_is_vital_and_two_in_the_middle_can_change_places(engine: Engine) -> None:
    first = measured(engine, "model-layers", "without the first")
    assert first["most_important_layer"] == 0
    assert first["p_changed"] < 0.01
    assert measured(engine, "model-layers", "two change places")["answer_changed"] == " Paris"


def test_the_grid_names_every_state_and_says_how_it_changed(engine: Engine) -> None:
    grid = frames(engine, "model-layers")[-1].views[0]
    assert isinstance(grid, Heatmap)
    assert grid.values.shape == (31, 5)
    assert len(grid.texts) == len(grid.details) == 31 * 5
    assert grid.texts[-1] == " Paris"
    assert grid.details[-1].startswith("·Paris 77 % (+7")


def test_one_token_and_a_text_longer_than_the_grid(engine: Engine) -> None:
    one = measured(engine, "model-layers", text="🙂"[:1], kl_tokens=2, max_new_tokens=1, skip="")
    assert one["undo_bit_identical"] is True
    assert one["text_differs"] is False
    long = frames(engine, "model-layers", text="one two three " * 10, kl_tokens=2, max_new_tokens=1)[-1]
    grid = long.views[0]
    assert isinstance(grid, Heatmap)
    assert grid.values.shape == (31, 24)


@pytest.mark.parametrize("ending", ["cancelled", "error"])
def test_cut_short_in_the_middle_the_model_is_as_it_was(engine: Engine, ending: str) -> None:
    ids = engine.encode("The capital of France is")
    hashed, logits = fingerprint(engine.model.weights), engine.logits(ids)
    lesson, asked = catalog.load()["model-layers"], itertools.count()
    stopping = engine.cancellable(lambda: ending == "cancelled" and next(asked) > 250)
    running = catalog.experiment(lesson).run(stopping, validated(lesson, {"skip": "0"}, engine.info))
    next(running)
    next(running)
    with pytest.raises(Cancelled if ending == "cancelled" else ZeroDivisionError):
        running.throw(ZeroDivisionError()) if ending == "error" else list(running)
    assert fingerprint(engine.model.weights) == hashed
    assert torch.equal(engine.logits(ids), logits)
