"""What the lesson on hidden states claims: one row, two meanings, and channels too large to overlook."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Heatmap, Scatter
from llm_holes.engine.model.hook_names import tap
from llm_holes.lessons.tier2.hidden_states.experiment import place
from tests.support.lessons import frames, measured


def test_two_banks_start_as_one_and_part(engine: Engine) -> None:
    m = measured(engine, "hidden-states")
    assert m["cosine_embedding"] == pytest.approx(1)
    assert m["divergence_layer"] == next(n for n, c in enumerate(m["cosine_per_layer"]) if c < 0.9) - 1
    assert m["cosine_last"] < measured(engine, "hidden-states", "the same sense")["cosine_last"] - 0.1
    assert m["layers_that_bring_closer"] >= 6
    assert len(m["cosine_per_layer"]) == m["positions_in_prefill"] + 21 == 31


def test_the_longest_vector_is_the_first_tokens_and_nearly_one_channel(engine: Engine) -> None:
    m = measured(engine, "hidden-states")
    assert (m["norm_largest_at_position"], m["largest_channel"]) == (0, 507)
    assert m["norm_largest"] > 10_000
    assert m["largest_channel_share"] > 0.95


def test_taps_see_all_of_a_prefill_and_one_position_in_decoding(engine: Engine) -> None:
    m = measured(engine, "hidden-states")
    assert m["positions_in_decode_step"] == 1
    assert m["decode_state_relative_diff"] < 1e-5


def test_the_word_is_found_by_its_bytes_and_its_state_is_the_models(engine: Engine) -> None:
    text = "Zwei 🙂 Banken, eine Bank"
    found = place(engine, text, "Bank")
    assert found.position == len(found.ids) - 1
    name = tap(4, "hook_resid_post")
    acts = engine.model.forward(torch.tensor([found.ids]), taps=[name]).acts
    assert torch.allclose(found.own[5], torch.from_numpy(acts[name][0, -1]), atol=1e-3)
    assert place(engine, text, "🙂").position < found.position
    assert place(engine, "a", "a").position == 0


@pytest.mark.parametrize("word", ["", "  ", "money", "BANK"])
def test_a_word_that_does_not_stand_there_is_refused(engine: Engine, word: str) -> None:
    with pytest.raises(InputError):
        place(engine, "the bank", word)


def test_unlike_words_look_alike_until_the_large_channels_are_left_out(engine: Engine) -> None:
    m = measured(engine, "hidden-states", "two unlike words")
    middle = len(m["cosine_per_layer"]) // 2
    assert m["cosine_per_layer"][middle] > m["cosine_without_largest_per_layer"][middle] + 0.2


def test_views_have_a_point_per_third_state_and_strongest_channels_first(engine: Engine) -> None:
    views = {view.key: view for view in frames(engine, "hidden-states")[-1].views}
    path, channels = views["two paths"], views["strongest channels"]
    assert isinstance(path, Scatter)
    assert len(path.labels) == 22
    assert isinstance(channels, Heatmap)
    assert channels.values.shape == (31, 48)
    assert len(set(channels.column_names)) == 48
