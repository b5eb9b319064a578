"""What the lesson on hidden states claims: one row, two meanings, no looking ahead, and what a state tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Curve, Frame
from llm_holes.engine.model.hook_names import tap
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from llm_holes.lessons.tier2.hidden_states.reader import fitted
from llm_holes.lessons.tier2.hidden_states.tug import OPENINGS, apart_from, neutral, rope
from llm_holes.lessons.tier2.hidden_states.word_place import place
from tests.support.lessons import measured

BEFORE = {"text": "The steep, grassy bank", "text_b": "The money in the bank"}
AFTER = {
    "text": "The bank was steep and covered with wild flowers.",
    "text_b": "The bank was closed and had run out of money.",
}


def first_frame(engine: Engine, preset: str = "", **settings: Any) -> Frame:
    """The tug of war, which is measured before all else."""
    lesson = catalog.load()["hidden-states"]
    given = {**(lesson.preset(preset).settings if preset else {}), **settings}
    found: Frame = next(iter(catalog.experiment(lesson).run(engine, validated(lesson, given, engine.info))))
    return found


def tug(engine: Engine, preset: str = "", **settings: Any) -> dict[str, Any]:
    return first_frame(engine, preset, **settings).measured


def test_two_banks_start_as_one_and_are_pulled_to_their_meanings(engine: Engine) -> None:
    m = tug(engine)
    assert m["meaning_a_per_layer"][0] == pytest.approx(m["meaning_b_per_layer"][0])
    assert (m["pulled_a"], m["pulled_b"]) == ("shore", "loan")
    assert 3 <= m["layers_apart_from"] <= 10
    assert m["they_part"] == "in the lower half"


@pytest.mark.parametrize("preset", ["two springs", "two mice"])
def test_other_words_are_torn_apart_too(engine: Engine, preset: str) -> None:
    m = tug(engine, preset)
    assert m["they_part"] == "in the lower half"
    assert m["pulled_a"] != m["pulled_b"]


@pytest.mark.parametrize("preset", ["two rivers", "eine deutsche Bank"])
def test_one_meaning_or_a_language_hardly_read_parts_nothing(engine: Engine, preset: str) -> None:
    m = tug(engine, preset)
    assert (m["layers_apart_from"], m["apart"]) == (-1, "never")


def test_what_comes_after_the_word_does_not_reach_it(engine: Engine) -> None:
    after, before = tug(engine, **AFTER), tug(engine, **BEFORE)
    assert after["same_until_word"] is True
    assert after["meaning_a_per_layer"] == pytest.approx(after["meaning_b_per_layer"], abs=1e-4)
    assert after["pulled_without_hint"] == "loan"
    assert (after["they_part"], before["they_part"]) == ("never", "in the lower half")
    assert before["pulled_without_hint"] == ""


def test_a_lean_is_the_difference_of_two_cosines_with_the_mean_removed(engine: Engine) -> None:
    between, own = rope(engine, "shore", "loan"), place(engine, "on the river bank", "bank").own
    end = between.ends[0] + between.mean
    cosine = torch.cosine_similarity(end - between.mean, between.ends[1], dim=-1)
    assert between.lean(end) == pytest.approx((1 - cosine).tolist(), abs=1e-5)
    assert between.lean(own) == pytest.approx([-x for x in rope(engine, "loan", "shore").lean(own)], abs=1e-5)
    assert rope(engine, "shore", "shore").lean(own) == pytest.approx([0.0] * len(own), abs=1e-5)
    assert apart_from([0.0, 0.1, 0.3], [0.0, 0.0, 0.0]) == 2


def test_neutral_states_are_those_of_the_whole_model(engine: Engine) -> None:
    name = tap(6, "hook_resid_post")
    for found, word in zip(neutral(engine, ["shore", "Überraschung"]), ("shore", "Überraschung"), strict=True):
        each = [
            engine.model.forward(torch.tensor([engine.encode(f"{o} {word}")]), taps=[name]).acts[name] for o in OPENINGS
        ]
        assert np.abs(found[7].numpy() - np.mean([acts[0, -1] for acts in each], axis=0)).max() < 1e-3


def test_the_left_neighbour_is_read_off_states_but_not_off_the_row(engine: Engine) -> None:
    m = measured(engine, "hidden-states")
    assert m["left_accuracy_best"] > m["left_accuracy_first"] + 0.15
    assert m["own_accuracy_per_layer"][0] > m["own_accuracy_last"] > m["next_accuracy_best"] > m["next_accuracy_first"]
    assert m["reader_accuracy_baseline"] < 0.1
    assert m["best_read_last"] == "the token itself"


def test_at_the_second_reading_the_next_token_is_known(engine: Engine) -> None:
    once, twice = measured(engine, "hidden-states"), measured(engine, "hidden-states", "read twice")
    assert twice["next_accuracy_best"] > once["next_accuracy_best"] + 0.25
    assert twice["best_read_last"] == "the next token"
    shuffled = measured(engine, "hidden-states", passage="words shuffled")
    assert shuffled["next_accuracy_best"] < 0.1 < shuffled["left_accuracy_best"]


def test_the_reader_is_ridge_regression() -> None:
    torch.manual_seed(0)
    x, y, new = torch.randn(2, 40, 6), torch.randn(40, 3), torch.randn(2, 5, 6)
    found = fitted(x, y, new)
    for state in range(2):
        mean, spread = x[state].mean(0), x[state].std(0)
        a, b = (x[state] - mean) / spread, (new[state] - mean) / spread
        weights = torch.linalg.solve(a.T @ a + 0.3 * 6 * torch.eye(6), a.T @ (y - y.mean(0)))
        assert torch.allclose(found[state], b @ weights + y.mean(0), atol=1e-4)


def test_the_longest_vector_is_the_first_tokens_and_nearly_one_channel(engine: Engine) -> None:
    m = measured(engine, "hidden-states")
    assert (m["norm_largest_at_position"], m["largest_channel"]) == (0, 507)
    assert m["norm_largest"] > 10_000
    assert m["largest_channel_share"] > 0.95


def test_taps_see_all_of_a_prefill_and_one_position_in_decoding(engine: Engine) -> None:
    m = measured(engine, "hidden-states")
    assert len(m["cosine_per_layer"]) == m["positions_in_prefill"] + 21 == 31
    assert m["positions_in_decode_step"] == 1
    assert m["cosine_embedding"] == pytest.approx(1)
    assert m["decode_state_relative_diff"] < 1e-5


def test_the_word_is_found_by_its_bytes_and_its_state_is_the_models(engine: Engine) -> None:
    text = "Zwei 🙂 Banken, eine Bank"
    found = place(engine, text, "Bank")
    assert found.position == len(found.ids) - 1
    name = tap(4, "hook_resid_post")
    acts = engine.model.forward(torch.tensor([found.ids]), taps=[name]).acts
    assert torch.allclose(found.own[5], torch.from_numpy(acts[name][0, -1]), atol=1e-3)
    assert place(engine, text, "🙂").position < found.position
    assert place(engine, text, "BANK").position == found.position
    assert place(engine, "a", "a").position == 0


@pytest.mark.parametrize("word", ["", "  ", "money"])
def test_where_the_word_is_missing_the_last_one_is_followed(engine: Engine, word: str) -> None:
    found = place(engine, "They sat on the bank!?", word)
    assert not found.found
    assert engine.token_text(found.ids[found.position]) == " bank"
    assert not place(engine, "🙂", word).found


def test_a_word_too_early_and_a_missing_meaning_are_refused(engine: Engine) -> None:
    with pytest.raises(InputError, match="too early"):
        place(engine, "bank" + " so" * 300, "bank")
    with pytest.raises(InputError, match="empty"):
        rope(engine, "shore", " ")


def test_unlike_words_look_alike_until_the_large_channels_are_left_out(engine: Engine) -> None:
    unlike = {"text": "The old king was tired.", "text_b": "I had soup for lunch today."}
    m = measured(engine, "hidden-states", **unlike, word="tired", word_b="lunch")
    assert m["cosine_middle"] > m["cosine_middle_without_largest"] + 0.2


def test_the_first_picture_has_a_line_per_text_called_by_the_words_before(engine: Engine) -> None:
    first = first_frame(engine).views[0]
    assert isinstance(first, Curve)
    assert [line.name for line in first.series] == ["… along the grassy bank", "… set by the bank"]
    assert first.series[0].y[-1] > 0.3 > -0.3 > first.series[1].y[-1]
