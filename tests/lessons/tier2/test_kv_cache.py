"""What the lesson on the KV cache claims about smaller caches and about real models."""

from __future__ import annotations

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import CacheGrid, CellState, Curve, Frame, Table, View
from llm_holes.lessons.shared.architectures import ARCHITECTURES
from tests.support.lessons import frames, measured


def view(frame: Frame, key: str) -> View:
    return next(view for view in frame.views if view.key == key)


def grid(frame: Frame, key: str) -> list[list[CellState]]:
    """The states [row, token] of a grid."""
    found = view(frame, key)
    assert isinstance(found, CacheGrid)
    return [[found.states[int(code)] for code in row] for row in found.cells.tolist()]


@pytest.fixture(scope="module")
def behind_a_hundred(engine: Engine) -> Frame:
    return frames(engine, "kv-cache", context_tokens=100, max_new_tokens=2)[-1]


def test_published_shapes_give_the_published_sizes() -> None:
    """100,000 tokens in 16 bits: the often quoted 244 GiB of Llama-3-70B are those without shared heads."""
    by_name = {a.name: a for a in ARCHITECTURES}
    large = by_name["Llama-3-70B"]
    assert large.kv_bytes(100_000) == 32_768_000_000
    assert large.kv_bytes(100_000, grouped=False) == 262_144_000_000
    assert by_name["Llama-3-8B"].kv_bytes(1) == by_name["Mistral-7B"].kv_bytes(1) == 131_072
    assert by_name["Llama-3.1-405B"].kv_bytes(1) == 2 * 126 * 8 * 128 * 2
    assert by_name["Qwen3-8B"].kv_bytes(1) == 2 * 36 * 8 * 128 * 2


def test_fewer_bits_cost_little_and_a_window_without_its_beginning_much(engine: Engine) -> None:
    codes = measured(engine, "kv-cache", "a cache of 8 bits")
    assert codes["smaller_bytes"] == codes["cache_bytes_actual"] * (8 + 1) // 32
    assert codes["smaller_kl_nats"] < 0.02
    assert codes["smaller_tokens_equal"] is True
    window = measured(engine, "kv-cache", "only the last 64 tokens")
    assert window["smaller_bytes"] == 63 * engine.model.config.kv_bytes_per_token()
    assert window["smaller_kl_nats"] > 0.5
    rescued = measured(engine, "kv-cache", "only the last 64 tokens", sinks=1)
    assert rescued["smaller_kl_nats"] < window["smaller_kl_nats"] / 2


def test_the_table_counts_the_bits_it_is_told(engine: Engine) -> None:
    last = frames(engine, "kv-cache", context_tokens=0, max_new_tokens=1, formula_tokens=2000, formula_bits="4")[-1]
    table = view(last, "real models")
    assert isinstance(table, Table)
    rows = {row[0]: row for row in table.rows}
    assert rows["Llama-3-70B"][3] == pytest.approx(2 * 80 * 8 * 128 * 2000 / 2 / 2**30)
    assert last.measured["smaller_bytes"] == last.measured["cache_bytes_actual"]


def test_the_cache_fills_by_one_column_a_step_and_is_read_back_whole(engine: Engine) -> None:
    found = frames(engine, "kv-cache", max_new_tokens=3)
    prompt = len(engine.chat("Tell me a short story about a fox."))
    assert grid(found[0], "the cache") == [["written"] * prompt + ["empty"] * 3] * engine.model.config.n_layers
    for step, frame in enumerate(found[1:4], 1):
        row = grid(frame, "the cache")[0]
        assert row == ["read"] * (prompt + step - 1) + ["written"] + ["empty"] * (3 - step)
    kept, again = (grid(found[-1], "again or kept")[n] for n in (2, 5))
    assert kept == ["kept"] * (prompt + 2) + ["written"]
    assert again == ["recomputed"] * (prompt + 2) + ["written"]
    assert found[-1].measured["tokens_read_again"] == 3 * prompt + 1 + 2 + 3


def test_a_changed_word_changes_itself_in_the_first_layer_and_all_behind_it_above(engine: Engine) -> None:
    last = frames(engine, "kv-cache", max_new_tokens=1)[-1]
    rows, at = grid(last, "change a word"), 3
    assert rows[0] == ["kept"] * at + ["changed"] + ["kept"] * (len(rows[0]) - at - 1)
    assert rows[-1] == ["kept"] * at + ["changed"] * (len(rows[0]) - at)
    assert last.measured["edit_changed_before"] == 0
    assert measured(engine, "kv-cache", "the first word changed")["edit_changed_share"] == 1
    assert measured(engine, "kv-cache", "a late word changed")["edit_changed_share"] < 0.3
    assert measured(engine, "kv-cache", max_new_tokens=1, instead="short")["edit_changed_share"] == 0


def test_a_second_turn_on_the_kept_cache_reads_only_what_is_new_and_says_the_same(behind_a_hundred: Frame) -> None:
    m = behind_a_hundred.measured
    assert m["second_turn_common"] == m["cache_tokens"]
    assert m["second_turn_new"] == m["second_turn_tokens"] - m["second_turn_common"] < 30
    assert m["second_turn_max_abs_diff"] < 1e-3
    assert m["second_turn_speedup"] > 1.5


def test_the_time_without_the_cache_grows_with_the_context(behind_a_hundred: Frame) -> None:
    curve = view(behind_a_hundred, "time per token")
    assert isinstance(curve, Curve)
    cached, recomputed = (series.y for series in curve.series)
    assert recomputed[-1] > 2 * recomputed[0]
    assert recomputed[-1] > 2 * cached[-1]


def test_keys_before_a_change_are_the_same_bit_by_bit(engine: Engine) -> None:
    """A digit of the time of day, at the top of the text: the tokens before it keep their keys, in every layer."""
    m = measured(engine, "kv-cache", "a clock at the top")
    assert m["edit_changed_before_max_abs_diff"] == 0
    assert m["edit_kept_tokens"] == 4
    assert m["edit_changed_share"] > 0.6
    assert m["edit_moved"] is False


def test_a_word_of_another_length_moves_all_behind_it(engine: Engine) -> None:
    last = frames(engine, "kv-cache", max_new_tokens=1, instead="incomprehensible")[-1]
    assert last.measured["edit_moved"] is True
    assert set(grid(last, "change a word")[0][3:]) == {"changed"}
    assert last.measured["edit_changed_before"] == 0


def test_the_longer_the_kept_beginning_the_more_it_saves(engine: Engine) -> None:
    short = measured(engine, "kv-cache", "a late word changed")
    long = measured(engine, "kv-cache", max_new_tokens=1, context_tokens=200)
    assert short["second_turn_shared_tokens"] < long["second_turn_shared_tokens"]
    assert long["second_turn_speedup"] > 1.5 * short["second_turn_speedup"]
    assert long["second_turn_clearly_faster"] is True
