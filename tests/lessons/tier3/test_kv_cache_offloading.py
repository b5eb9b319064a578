"""What the lesson on offloading claims: fetched is exact, left out is not, and a wait is bytes divided by speed."""

from __future__ import annotations

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Blocks, Diff, Heatmap, Timeline, View
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.tier3.kv_cache_offloading.large_model import HBM, Step
from llm_holes.lessons.tier3.kv_cache_offloading.links import Link, links
from tests.support.lessons import frames, measured

LESSON = "kv-cache-offloading"
PRESETS = ("", "keep what was looked at", "the first and the last")


def view(engine: Engine, key: str, preset: str = "") -> View:
    return next(view for view in frames(engine, LESSON, preset)[-1].views if view.key == key)


def waits(engine: Engine, preset: str = "") -> dict[str, float]:
    """The milliseconds that each row of the picture waits."""
    picture = view(engine, "waits", preset)
    assert isinstance(picture, Timeline)
    return {row.name: sum(s.ms for s in row.stretches if s.group.startswith("waits")) for row in picture.rows}


def test_fetched_blocks_change_no_token_whatever_the_policy(engine: Engine) -> None:
    for preset in PRESETS:
        m = measured(engine, LESSON, preset)
        assert m["tokens_equal"] is True
        assert m["logits_max_abs_diff"] < 1e-4
        assert m["resident_bytes"] < m["cache_bytes"]
        assert m["cache_bytes"] == engine.model.config.kv_bytes_per_token() * m["cache_tokens"]


def test_least_recently_used_misses_and_forgets_most(engine: Engine) -> None:
    lru, score, window = (measured(engine, LESSON, preset) for preset in PRESETS)
    assert lru["hit_rate"] < 0.2 < 0.4 < score["hit_rate"]
    assert window["hit_rate"] == pytest.approx(score["hit_rate"], abs=0.02)
    assert lru["reads_in_a_circle"] is True
    assert lru["changed_share_left_out"] > 2 * max(m["changed_share_left_out"] for m in (score, window))
    assert lru["left_out_bytes"] > 0
    assert window["left_out_bytes"] == 0


def test_left_with_the_latest_blocks_alone_the_model_repeats_itself(engine: Engine) -> None:
    shown = frames(engine, LESSON, budget=32)[-1].views
    answers = next(view for view in shown if view.key == "two answers")
    assert isinstance(answers, Diff)
    assert answers.before.startswith("Alice is")
    words = answers.after.split()
    assert max(map(words.count, words)) > 3 > max(map(answers.before.split().count, words))


def test_the_map_shows_the_first_block_in_memory_where_it_is_kept(engine: Engine) -> None:
    lru, _, window = (view(engine, "in fast memory", preset) for preset in PRESETS)
    assert isinstance(lru, Blocks)
    assert isinstance(window, Blocks)
    assert (lru.blocks[0].owners, window.blocks[0].owners) == (("!",), ("+",))
    assert lru.blocks[-1].filled == window.blocks[-1].filled == 1
    over_time = view(engine, "over time")
    assert isinstance(over_time, Heatmap)
    assert over_time.cursor is not None
    assert over_time.details[-1] == "found in 100 % of the layers"
    assert "not there yet" in over_time.details
    assert over_time.values.tolist()[over_time.cursor[0]][over_time.cursor[1]] == 1, "what was found is in sight"


def test_each_token_waits_for_its_missing_bytes_divided_by_the_speed_of_the_link(engine: Engine) -> None:
    m, drawn = measured(engine, LESSON, "from a hard disk"), waits(engine, "from a hard disk")
    assert m["misses_per_token"] * m["block_bytes"] == pytest.approx(m["missed_bytes_per_token"], rel=0.01)
    assert m["wait_ms"] == pytest.approx(m["missed_bytes_per_token"] / 0.15e6)
    assert m["ms_per_miss_predicted"] == pytest.approx(m["block_bytes"] / 0.15e6)
    assert drawn["disk, 0.15 GB/s"] == pytest.approx(6 * m["wait_ms"], rel=0.1)
    assert drawn["SATA, 0.5 GB/s"] == pytest.approx(drawn["disk, 0.15 GB/s"] * 0.15 / 0.5)
    assert drawn["all in memory"] == 0


def test_a_fetch_has_a_price_of_its_own(engine: Engine) -> None:
    m, picture = measured(engine, LESSON), view(engine, "block sizes")
    assert isinstance(picture, Bars)
    timed = dict(zip(picture.labels, picture.values, strict=True))
    assert timed["blocks of 1"] > 4 * timed["blocks of 64"]
    assert m["smallest_blocks_vs_best"] > 4
    assert m["ms_per_miss_measured"] > m["file_ms_per_miss_predicted"] > 0


def test_half_of_a_large_cache_behind_pcie_is_nearly_all_of_the_time(engine: Engine) -> None:
    assert Step(100_000, 0.5).slowdown(Link("PCIe 5", 64)) > 8
    assert Step(100_000, 0.5).slowdown(HBM) == pytest.approx(1)
    window, wide = (measured(engine, LESSON, preset) for preset in ("the first and the last", "a wide link"))
    assert window["large_slowdown"] > 8 > wide["large_slowdown"] > 2
    assert window["large_missed_bytes"] == pytest.approx((1 - window["hit_rate"]) * window["large_cache_bytes"])
    picture = view(engine, "a large model", "the first and the last")
    assert isinstance(picture, Timeline)
    assert "own file, measured" in [row.name for row in picture.rows]


def test_the_links_of_the_dial_are_those_that_are_known() -> None:
    dial = next(control for control in catalog.load()[LESSON].data.controls if control.name == "link")
    assert set(dial.choices) == set(links(5.0))


def test_fetching_pays_over_any_link_that_is_faster_than_computing(engine: Engine) -> None:
    slow = measured(engine, LESSON, link="slow line, 1 MB/s", max_new_tokens=2)
    assert slow["breakeven_tokens"] == 0
    assert slow["reload_ms"] > slow["recompute_ms"]
    assert 1 < slow["breakeven_mb_per_s"] < 500
    assert slow["reload_ms"] / slow["recompute_ms"] == pytest.approx(slow["breakeven_mb_per_s"])


def test_a_budget_for_everything_misses_nothing(engine: Engine) -> None:
    m = measured(engine, LESSON, context_tokens=0, budget=4096, max_new_tokens=2)
    assert m["hit_rate"] == m["large_slowdown"] == 1
    assert m["reads_in_a_circle"] is False
    assert m["tokens_equal_left_out"] is True
    assert m["changed_share_left_out"] < 1e-6
    assert m["wait_ms"] == m["ms_per_miss_measured"] == 0
