"""What the lesson on offloading claims: fetched is exact, left out is not, and where each block was found."""

from __future__ import annotations

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Blocks
from llm_holes.lessons.tier3.kv_cache_offloading.reload import Saved
from tests.support.lessons import frames, measured

PRESETS = ("", "keep what was looked at", "the first and the last")


def test_fetched_blocks_change_no_token_whatever_the_policy(engine: Engine) -> None:
    for preset in PRESETS:
        m = measured(engine, "kv-cache-offloading", preset)
        assert m["tokens_equal"] is True
        assert m["logits_max_abs_diff"] < 1e-4
        assert m["resident_bytes"] < m["cache_bytes"]
        assert m["cache_bytes"] == engine.model.config.kv_bytes_per_token() * m["cache_tokens"]


def test_least_recently_used_misses_and_forgets_most(engine: Engine) -> None:
    lru, score, window = (measured(engine, "kv-cache-offloading", preset) for preset in PRESETS)
    assert lru["hit_rate"] < 0.2 < 0.4 < score["hit_rate"]
    assert window["hit_rate"] == pytest.approx(score["hit_rate"])
    assert lru["kl_left_out_nats"] > 2 * max(score["kl_left_out_nats"], window["kl_left_out_nats"])
    assert lru["left_out_bytes"] > 0
    assert window["left_out_bytes"] == 0


def test_the_map_shows_the_first_block_in_memory_where_it_is_kept(engine: Engine) -> None:
    lru, _, window = (frames(engine, "kv-cache-offloading", preset)[-1].views[0] for preset in PRESETS)
    assert isinstance(lru, Blocks)
    assert isinstance(window, Blocks)
    assert (lru.blocks[0].owners, window.blocks[0].owners) == (("!",), ("+",))
    assert lru.blocks[-1].filled == window.blocks[-1].filled == 1


def test_fetching_pays_where_it_is_quicker_per_token(engine: Engine) -> None:
    slow = measured(engine, "kv-cache-offloading", "a slow link")
    assert slow["breakeven_tokens"] == "never"
    assert slow["reload_ms"] > slow["recompute_ms"]
    assert Saved(tokens=100, reload_ms=0, recompute_ms=200, fixed_ms=30, per_token_ms=1).breakeven == 30


def test_a_budget_for_everything_misses_nothing(engine: Engine) -> None:
    m = measured(engine, "kv-cache-offloading", context_tokens=0, budget=4096, max_new_tokens=2)
    assert m["hit_rate"] == 1
    assert m["tokens_equal_left_out"] is True
    assert m["kl_left_out_nats"] < 1e-6
