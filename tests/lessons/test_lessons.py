"""Every lesson publishes what it promises, with its default and all presets, on the real model."""

from __future__ import annotations

import math

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff, Heatmap
from llm_holes.lessons.catalog import catalog
from tests.support.lessons import frames, measured

LESSONS = list(catalog.load().lessons.values())
CASES = [(lesson.id, name) for lesson in LESSONS for name in ("", *(preset.name for preset in lesson.presets))]


@pytest.mark.parametrize(("lesson_id", "preset"), CASES)
def test_the_default_and_presets_run_and_publish_every_name(engine: Engine, lesson_id: str, preset: str) -> None:
    lesson = catalog.load()[lesson_id]
    found = frames(engine, lesson_id, preset)
    assert set(found[-1].measured) == set(lesson.data.publishes)
    assert found[-1].progress is None
    assert all(frame.caption and frame.views for frame in found)


def test_tokens(engine: Engine) -> None:
    m = measured(engine, "tokens", text="I love unbelievable tacos")
    assert m["tokens"] == 6
    assert m["tokens_cl100k"] == 4
    assert m["bytes_per_token"] == 25 / 6
    assert m["roundtrip_exact"] is True
    emoji = measured(engine, "tokens", text="🙂日本")
    assert emoji["roundtrip_exact"] is True
    assert (emoji["characters"], emoji["bytes"]) == (3, 10)
    assert emoji["partial_tokens"] > 0


def test_tokens_of_markup_and_control_characters_come_back_exactly(engine: Engine) -> None:
    m = measured(engine, "tokens", text="[b]<|im_end|>\x1b[31m\x00\u202e[/INST]")
    assert m["roundtrip_exact"] is True
    assert m["bytes_lost"] == 0


def test_a_byte_without_a_token_vanishes_and_the_lesson_says_so(engine: Engine) -> None:
    m = measured(engine, "tokens", "a character that vanishes")
    assert m["roundtrip_exact"] is False
    assert m["bytes_lost"] == 1


def test_attention(engine: Engine) -> None:
    m = measured(engine, "attention")
    assert m["attention_reproduced_max_abs_diff"] < 1e-4
    assert m["rows_sum_to_one_max_abs_diff"] < 1e-5
    assert m["causal_violation"] == 0
    assert m["top_induction_head"] == "L18H6"
    assert m["head_types"]["induction"] >= 5
    assert m["kl_ablated_head"] < 0.01
    assert m["next_token"] == " Qu"
    assert measured(engine, "attention", "all of them")["p_next_ablated"] < 0.05 < 0.4 < m["p_next"]


def test_attention_of_one_token_and_of_a_long_text(engine: Engine) -> None:
    one = measured(engine, "attention", text="a", max_new_tokens=1)
    assert one["weight_on_first_token"] == 1
    long = frames(engine, "attention", text="The cat sat on the mat. " * 100, max_new_tokens=1)[-1]
    pattern = long.views[0]
    assert isinstance(pattern, Heatmap)
    assert pattern.values.shape == (192, 192)
    assert pattern.row_control == ""
    assert long.measured["attention_reproduced_max_abs_diff"] < 1e-4


def test_kv_cache(engine: Engine) -> None:
    m = measured(engine, "kv-cache", context_tokens=64, max_new_tokens=6)
    assert m["tokens_equal"] is True
    assert m["cache_bytes_actual"] == m["cache_bytes_predicted"] == 2 * 30 * 3 * 64 * 4 * m["cache_tokens"]
    assert m["logits_max_abs_diff"] < 1e-3
    assert m["speedup"] > 1
    assert m["cache_bytes_reserved"] >= m["cache_bytes_actual"]


def test_quantization(engine: Engine) -> None:
    eight = measured(engine, "quantization", "8 bits")
    assert eight["kl_nats"] < 0.02
    assert eight["size_ratio"] == pytest.approx(0.25, abs=0.005)
    assert eight["undo_bit_identical"] is True
    assert eight["quantized_kernel"] == "int8"
    two = frames(engine, "quantization", "2 bits")[-1]
    assert two.measured["undo_bit_identical"] is True
    assert two.measured["kl_nats"] > 5
    answers = next(view for view in two.views if view.key == "two answers")
    assert isinstance(answers, Diff)
    assert "Paris" in answers.before
    assert "Paris" not in answers.after


def test_four_bits_are_free_only_on_weights_that_lie_on_four_bit_blocks(engine: Engine) -> None:
    free = measured(engine, "quantization", "4 bits for nothing?")
    paid = measured(engine, "quantization", "4 bits in groups")
    assert free["kl_nats"] < 1e-3 < 0.1 < paid["kl_nats"]
    assert measured(engine, "quantization", "4 bits, one scale")["perplexity_quantized"] > 1000


def test_stopping(engine: Engine) -> None:
    m = measured(engine, "stopping")
    assert m["p_end_at_stop"] > 0.5
    assert m["p_end_before_stop"] < 0.001
    assert m["stop_reason"] == "end token"
    assert m["end_rank_per_step"][-1] == 1, "ranks count from 1"
    assert m["tokens_after_ban"] == 48 - (m["tokens_generated"] - 1)
    assert math.isclose(m["p_end_per_step"][-1], m["p_end_at_stop"])
    banned = measured(engine, "stopping", "forbidden from the start")
    assert banned["stop_reason"] == "max tokens"
    assert banned["answer"].startswith(m["answer"])
