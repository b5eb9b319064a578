"""What the prefill lesson counts against independent counts, and what it times against what must hold anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Frame, Timeline, View
from llm_holes.engine.machine import matmul_gflop_per_s, read_gb_per_s
from llm_holes.engine.measure import Timing
from llm_holes.lessons.shared import batches, counts
from llm_holes.lessons.tier1.prefill_decode import limits, timings
from tests.support.lessons import frames, measured

V = TypeVar("V", bound=View)


def view(frame: Frame, key: str, kind: type[V]) -> V:
    found = next(view for view in frame.views if view.key == key)
    assert isinstance(found, kind)
    return found


@pytest.mark.parametrize("tokens", [1, 24])
def test_flops_are_those_torch_counts(engine: Engine, tokens: int) -> None:
    with FlopCounterMode(display=False) as counter:
        engine.model.forward(torch.tensor([[5] * tokens]), logits_to_keep=1)
    matrices = counts.flops(engine, tokens, 0)
    attention = counts.flops(engine, tokens, tokens) - matrices
    assert matrices <= counter.get_total_flops() <= matrices + attention


def test_flops_of_many_texts_have_logits_for_each(engine: Engine) -> None:
    with FlopCounterMode(display=False) as counter:
        engine.model.forward(torch.zeros(3, 1, dtype=torch.long), logits_to_keep=1)
    assert counter.get_total_flops() == pytest.approx(counts.flops(engine, 3, 1, outputs=3), rel=1e-3)


def test_bytes_are_those_of_the_file(engine: Engine) -> None:
    m = measured(engine, "prefill-decode")
    vectors = sum(w.nbytes for w in engine.model.weights.values() if w.dim() == 1)
    assert m["weight_bytes_per_token"] == 4 * engine.info.parameters - vectors


def test_a_line_of_time_is_one_pass_for_the_prompt_and_one_for_each_token(engine: Engine) -> None:
    """You should see a long stretch, then one for each token that was written; below it the prompt four times."""
    found = frames(engine, "prefill-decode")
    m, line = measured(engine, "prefill-decode"), view(found[-1], "the time line", Timeline)
    assert [len(row.stretches) for row in line.rows] == [7, 7]
    for row, tokens in zip(line.rows, (m["prompt_tokens"], 4 * m["prompt_tokens"]), strict=True):
        assert row.name == f"{tokens} tokens"
        assert [stretch.group for stretch in row.stretches] == ["prefill"] + ["decode"] * 6
    assert line.rows[0].stretches[0].ms < 0.7 * m["prompt_tokens"] * m["decode_ms"]
    assert line.rows[1].stretches[0].ms > 1.5 * line.rows[0].stretches[0].ms
    grown = [view(frame, "the time line", Timeline) for frame in found[:14]]
    assert [sum(len(row.stretches) for row in line.rows) for line in grown] == list(range(1, 15))


def test_a_long_message_is_compared_with_its_first_quarter(engine: Engine) -> None:
    prompt = list(range(700))
    assert [len(answer.prompt) for answer in timings.two_prompts(engine, prompt, 6)] == [700, 175]
    assert timings.repeats_for(700) == 1


def test_many_texts_in_one_pass_cost_far_less_than_a_pass_for_each(engine: Engine) -> None:
    m = measured(engine, "prefill-decode")
    assert m["batch_vs_one"] < 32 / 2
    assert list(m["tok_per_s_by_batch"]) == ["1", "8", "32"]
    assert m["tok_per_s_by_batch"]["32"] > 2 * m["tok_per_s_by_batch"]["1"]
    few = measured(engine, "prefill-decode", "four texts at once")
    assert few["batch_vs_one"] < 3
    assert list(few["tok_per_s_by_batch"]) == ["1", "4"]


def test_texts_that_share_a_pass_get_the_logits_they_get_alone(engine: Engine) -> None:
    start = batches.filled(engine, engine.encode("The capital of France"), 8)
    given = torch.tensor([engine.tokenizer.encode(" is"), engine.tokenizer.encode(" was")])
    together = engine.model.forward(given, start.copies(2, 1), logits_to_keep=1).logits
    for row in (0, 1):
        start.truncate(8)
        alone = engine.model.forward(given[row : row + 1], start, logits_to_keep=1).logits[0]
        assert torch.allclose(together[row], alone, atol=1e-3)
    assert not torch.allclose(together[0], together[1], atol=1e-1)


def test_caches_of_long_texts_outweigh_the_weights_they_share(engine: Engine) -> None:
    m = measured(engine, "prefill-decode", "long texts at once")
    assert m["batch_cache_bytes"] == 32 * 512 * engine.model.config.kv_bytes_per_token()
    assert m["batch_cache_bytes"] > m["weight_bytes_per_token"]
    assert batches.room_for(engine, 8191, texts=64) * 64 * engine.model.config.kv_bytes_per_token() <= 2**30


def test_the_line_of_both_limits_bends_where_the_sums_take_as_long_as_the_reading(engine: Engine) -> None:
    best = limits.Rates(40, 100)
    knee = limits.knee(engine, best)
    assert 4 < knee < 10
    flat, rising = (limits.least_ms(engine, tokens, best) for tokens in (1, 2 * knee))
    assert limits.least_ms(engine, knee, best) == pytest.approx(flat)
    assert flat == pytest.approx(counts.weight_bytes(engine) / 40e6)
    assert rising > 1.7 * flat
    assert limits.knee(engine, limits.Rates(40, 4)) == 1


def test_sixteen_tokens_cost_far_less_than_sixteen_times_as_much(engine: Engine) -> None:
    m = measured(engine, "prefill-decode", "four texts at once")
    assert 0.8 < m["sixteen_vs_one"] < 8
    assert m["longest_prompt"] == 16
    assert m["longest_vs_one"] == m["sixteen_vs_one"]


def test_the_tokens_of_a_doubled_pass_lie_between_those_timed() -> None:
    passes = {n: Timing(ms, ms, ms) for n, ms in {1: 40.0, 4: 50.0, 16: 110.0}.items()}
    assert timings.doubled(passes) == pytest.approx(10)
    assert timings.doubled({1: passes[1], 4: passes[4]}) == 0


def test_writing_slows_down_with_the_context_as_the_counted_bytes_say(engine: Engine) -> None:
    m = measured(engine, "prefill-decode")
    config = engine.model.config
    weights, first, last = m["weight_bytes_per_token"], *(config.kv_bytes_per_token() * n for n in (64, 6000))
    assert m["longest_context_bytes"] == last
    assert m["read_growth"] == pytest.approx((weights + last) / (weights + first))
    assert m["sums_growth"] > 2, "a token is compared with each of those before it"
    assert m["decode_slowdown"] > 1.15
    assert m["cache_like_weights_tokens"] == weights // config.kv_bytes_per_token()


def test_rates_are_below_the_machines_and_reading_is_faster_than_writing(engine: Engine) -> None:
    m = measured(engine, "prefill-decode", "a page to read")
    assert m["achieved_gb_per_s"] < 2 * m["machine_gb_per_s"]
    assert m["prefill_gflop_per_s"] < 2 * m["machine_gflop_per_s"]
    assert m["prefill_gflop_per_s"] > 2 * m["decode_gflop_per_s"]
    assert m["prefill_tok_per_s"] > 2 * m["decode_tok_per_s"]
    assert m["flops_per_byte"] == pytest.approx(0.5, rel=0.05), "two operations for each weight of four bytes"
    assert m["machine_flops_per_byte"] == pytest.approx(m["machine_gflop_per_s"] / m["machine_gb_per_s"])


def test_the_cache_is_filled_with_what_it_held_over_and_over(engine: Engine) -> None:
    config = engine.model.config
    cache = batches.filled(engine, [1, 2, 3], 8)
    assert cache.length == 8
    nothing = torch.empty(1, config.n_kv_heads, 0, config.d_head)
    for layer in (0, config.n_layers - 1):
        keys = cache.append(layer, nothing, nothing)[0]
        assert torch.equal(keys, torch.cat([keys[:, :, :3]] * 3, dim=2)[:, :, :8])


@pytest.mark.parametrize("probe", [read_gb_per_s, matmul_gflop_per_s])
def test_probes_can_be_cancelled(probe: Callable[[Callable[[], bool]], float]) -> None:
    calls = iter([False, True])
    with pytest.raises(Cancelled):
        probe(lambda: next(calls))


def test_a_tiny_prompt_and_other_scripts(engine: Engine) -> None:
    m = measured(
        engine, "prefill-decode", text="🙂", max_prompt=16, max_context=64, max_new_tokens=1, batch=2, each_context=16
    )
    assert m["decode_slowdown"] == m["read_growth"] == 1.0, "one context only"
    assert m["decode_clearly_slower"] is False
    assert m["ttft_ms"] > 0
    assert list(m["tok_per_s_by_batch"]) == ["1", "2"]
