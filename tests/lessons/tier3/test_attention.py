"""What the lesson on attention claims in depth: labels, the known heads, sinks that carry little, exact silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bars, Diff, Gallery, Heatmap, Table, View
from llm_holes.engine.interpret.head_types import head_scores
from llm_holes.engine.surgery.ablations import SinkEvicted, WindowOnly
from llm_holes.engine.surgery.operations import HeadOff, reweighted
from llm_holes.lessons.shared.head_views import NONE, ORDER, shrunk
from llm_holes.lessons.tier3.attention.softmax_by_hand import by_hand, weights
from tests.support.lessons import first_with, frames, measured

LOOKS = "whom it looks at"


def shown(engine: Engine, key: str, preset: str = "") -> View:
    return next(view for view in frames(engine, "attention", preset)[-1].views if view.key == key)


def test_random_tokens_said_twice_show_the_known_induction_heads(engine: Engine) -> None:
    found = head_scores(engine.model, engine.encode("any text"))
    scores = found.by_type["induction"]
    labelled = {(int(layer), int(head)) for layer, head in np.argwhere(scores >= found.threshold)}
    assert labelled >= {(18, 6), (17, 4), (17, 5), (17, 3), (18, 7)}
    assert len(labelled) < 15
    assert divmod(int(scores.argmax()), scores.shape[1]) == (18, 6)


def test_the_gallery_hangs_all_heads_by_measured_type_the_clearest_first(engine: Engine) -> None:
    gallery = shown(engine, "every head")
    assert isinstance(gallery, Gallery)
    assert gallery.values.shape == (270, 8, 8)
    assert sorted(gallery.places) == [(layer, head) for layer in range(30) for head in range(9)]
    kinds = [*ORDER, NONE]
    assert [kinds.index(group) for group in gallery.groups] == sorted(kinds.index(group) for group in gallery.groups)
    assert gallery.labels[0] == "L18H6"
    assert gallery.places[gallery.cursor or 0] == (18, 6)
    assert gallery.groups.count("induction") == measured(engine, "attention")["head_types"]["induction"]


def test_a_head_silenced_is_its_columns_zeroed(engine: Engine) -> None:
    for preset in ("", "plain but vital"):
        assert measured(engine, "attention", preset)["columns_zeroed_max_abs_diff"] < 1e-4
    ids, name = engine.encode("The cat sat."), "model.layers.1.self_attn.o_proj.weight"
    matrix = engine.model.weights[name].clone()
    matrix[:, 5 * 64 : 6 * 64] = 0
    zeroed = reweighted(engine.model, {name: matrix}).forward(torch.tensor([ids])).logits[0]
    silenced = engine.operated([HeadOff(1, 5)]).logits(ids)
    assert (zeroed - silenced).abs().max() < 1e-3 < (zeroed - engine.logits(ids)).abs().max()


def test_the_sink_gets_the_weight_and_carries_little(engine: Engine) -> None:
    m = measured(engine, "attention", "the sink")
    assert m["weight_on_first_token"] > 0.9
    assert m["carried_length"] < m["value_length_others"] / 3
    assert measured(engine, "attention")["carried_length"] > 3 * m["carried_length"]


def test_in_a_long_text_an_early_token_is_shown_among_its_neighbours(engine: Engine) -> None:
    text = "The cat sat on the mat. " * 60
    found = first_with(engine, "attention", "one token", text=text, position=30, layer=2)
    pattern, _, reads = found.views
    assert isinstance(pattern, Heatmap)
    assert pattern.values.shape == (192, 192)
    assert isinstance(reads, Table)
    assert all(row[0] <= 30 for row in reads.rows)  # type: ignore[operator]
    assert sum(row[3] for row in reads.rows) <= 1.0001  # type: ignore[misc]
    assert found.measured["attention_reproduced_max_abs_diff"] < 1e-4  # type: ignore[operator]


def test_what_is_drawn_is_what_the_model_does_and_not_what_its_queries_say(engine: Engine) -> None:
    seen = WindowOnly(6)
    narrow = first_with(engine.operated([seen]), "attention", LOOKS).views[0]
    assert isinstance(narrow, Heatmap)
    weights = np.nan_to_num(narrow.values.numpy())
    assert np.tril(weights, -6).max() == 0 < np.tril(weights, -5).max()
    first = first_with(engine.operated([SinkEvicted()]), "attention", LOOKS)
    assert first.measured["weight_on_first_token"] == 0
    assert first.measured["attention_reproduced_max_abs_diff"] > 0.01  # type: ignore[operator]
    assert "something changes it" in first.caption
    assert "something changes it" not in frames(engine, "attention")[-1].caption


def test_what_is_taken_is_the_weight_times_what_is_sent(engine: Engine) -> None:
    looks, takes = shown(engine, LOOKS, "the sink"), shown(engine, "what it takes", "the sink")
    assert isinstance(looks, Heatmap)
    assert isinstance(takes, Heatmap)
    weight, taken = (np.nan_to_num(view.values.numpy()) for view in (looks, takes))
    assert (weight[:, 0] > 0.8).all(), "everything looks at the first token"
    assert (taken[:, 0] < 0.2).all(), "which sends little, on the scale of what others would send"
    assert looks.cursor == takes.cursor == (24, 0)
    name = shown(engine, "what it takes")
    assert isinstance(name, Heatmap)
    assert name.values.numpy()[24, 10] > 0.7, "what is looked at for its name is taken"


def test_one_look_cut_in_all_heads_loses_the_name_and_in_one_head_does_not(engine: Engine) -> None:
    found = first_with(engine, "attention", "without it", cut="one look, everywhere", max_new_tokens=1)
    everywhere: dict[str, Any] = found.measured  # type: ignore[assignment]
    assert (everywhere["looks_at"], everywhere["heads_off"]) == (" Qu", 270)
    assert everywhere["p_next_ablated"] < 0.01 < 0.4 < everywhere["p_next"]
    bars = next(view for view in found.views if view.key == "without it")
    assert isinstance(bars, Bars)
    pair = bars.labels.index("·Qu")
    assert bars.labels[pair + 1] == "cut"
    assert bars.values[pair : pair + 2] == (everywhere["p_next"], everywhere["p_next_ablated"])
    here = measured(engine, "attention", "one look of one head")
    assert (here["heads_off"], here["p_next_ablated"] > 0.4) == (1, True)


def test_the_look_of_a_token_at_itself_cannot_be_cut(engine: Engine) -> None:
    found = first_with(engine, "attention", "without it", text="Q", cut="one look, everywhere", max_new_tokens=1)
    itself = found.measured
    assert (itself["look_cut"], itself["look_stays"]) == ("nowhere", True)
    assert itself["p_next"] == itself["p_next_ablated"]


def test_what_was_read_before_comes_another_way(engine: Engine) -> None:
    m = measured(engine, "attention", "it came another way")
    assert m["p_next_ablated"] < 0.1 < 0.5 < m["p_next"]
    assert (m["next_spelt"], m["looks_at"]) == ("·Mary", " Mary")
    texts = shown(engine, "what is written", "it came another way")
    assert isinstance(texts, Diff)
    assert (texts.before.split()[0], texts.after.split()[0]) == ("Mary.", "her.")


def test_shrinking_keeps_the_largest_weight() -> None:
    pattern = np.zeros((1, 20, 20), np.float32)
    pattern[0, 19, 0] = 0.5
    small = shrunk(pattern, 8).numpy()
    assert small.shape == (1, 8, 8)
    assert (small[0, 7, 0], small.sum()) == (50, 50)
    assert shrunk(pattern[:, :3, :3], 8).shape == (1, 3, 3)


def test_the_future_visible_looks_like_brilliance_and_only_distances_count(engine: Engine) -> None:
    m = measured(engine, "attention")
    assert abs(m["perplexity_intact"] - 36.65) < 0.01
    assert m["loss_future_visible"] < m["loss_intact"] - 1.5
    assert m["loss_without_scale"] > m["loss_intact"] + 3
    assert m["loss_without_rope"] > m["loss_intact"] + 1
    assert m["kl_positions_shifted"] < 1e-6
    assert m["changed_share_positions_shifted"] < 1e-3
    bars = shown(engine, "silent parts")
    assert isinstance(bars, Bars)
    assert bars.labels[min(range(5), key=bars.values.__getitem__)] == "the future visible"


def test_in_one_low_layer_peeking_spoils_the_guess(engine: Engine) -> None:
    m = measured(engine, "attention", "peeking spoils it")
    assert m["loss_future_visible"] > m["loss_intact"] + 0.1
    assert m["perplexity_ratio"] > 1.15


def test_softmax_by_hand_is_softmax_and_undivided_scores_leave_one_word_nearly_all() -> None:
    scores = torch.tensor([3.0, 2.0, 1.0])
    assert weights(scores) == pytest.approx(scores.softmax(0).tolist())
    assert max(weights(scores)) < 0.7 < 0.999 < max(weights(scores * 8))
    assert sum(weights(torch.tensor([-1.5]))) == 1


def test_the_scores_are_the_learners(engine: Engine) -> None:
    shown, shares = by_hand(engine, "0 0 0 0")
    assert shown.values == pytest.approx((0.25,) * 8)
    assert shares["by_hand_best_share"] == pytest.approx(0.25)
    shown, shares = by_hand(engine, "3 2 1")
    scores, size = torch.tensor([3.0, 2.0, 1.0]), engine.model.config.d_head
    assert shown.values[::2] == pytest.approx(scores.softmax(0).tolist())
    assert shown.values[1::2] == pytest.approx((scores * size**0.5).softmax(0).tolist())
    assert shares["by_hand_best_share_undivided"] == shown.values[1]
    with pytest.raises(InputError, match="not a list of numbers"):
        by_hand(engine, "one two")
