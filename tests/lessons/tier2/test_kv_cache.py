"""What the lesson on the KV cache claims about smaller caches and about real models."""

from __future__ import annotations

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Table
from llm_holes.lessons.shared.architectures import ARCHITECTURES
from tests.support.lessons import frames, measured


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
    table = last.views[-1]
    assert isinstance(table, Table)
    rows = {row[0]: row for row in table.rows}
    assert rows["Llama-3-70B"][3] == pytest.approx(2 * 80 * 8 * 128 * 2000 / 2 / 2**30)
    assert last.measured["smaller_bytes"] == last.measured["cache_bytes_actual"]
