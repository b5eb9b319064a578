"""What the prefill lesson counts against independent counts, and what it times against what must hold anywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.machine import matmul_gflop_per_s, read_gb_per_s
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.lessons.tier1.prefill_decode import timings
from tests.support.lessons import measured


@pytest.mark.parametrize("tokens", [1, 24])
def test_flops_are_those_torch_counts(engine: Engine, tokens: int) -> None:
    with FlopCounterMode(display=False) as counter:
        engine.model.forward(torch.tensor([[5] * tokens]), logits_to_keep=1)
    matrices = timings.flops(engine, tokens, 0)
    attention = timings.flops(engine, tokens, tokens) - matrices
    assert matrices <= counter.get_total_flops() <= matrices + attention


def test_bytes_are_those_of_the_file(engine: Engine) -> None:
    m = measured(engine, "prefill-decode")
    vectors = sum(w.nbytes for w in engine.model.weights.values() if w.dim() == 1)
    assert m["weight_bytes_per_token"] == 4 * engine.info.parameters - vectors


def test_sixteen_tokens_cost_far_less_than_sixteen_times_as_much(engine: Engine) -> None:
    m = measured(engine, "prefill-decode", "sixteen for the price of one")
    assert 0.8 < m["sixteen_vs_one"] < 8
    assert m["longest_prompt"] == 16


def test_writing_slows_down_with_the_context(engine: Engine) -> None:
    m = measured(engine, "prefill-decode", "a long memory")
    assert m["longest_context"] == 6000
    assert m["decode_slowdown"] > 1.15


def test_rates_are_below_the_machines_and_reading_is_faster_than_writing(engine: Engine) -> None:
    m = measured(engine, "prefill-decode", "a page to read")
    assert m["achieved_gb_per_s"] < 2 * m["machine_gb_per_s"]
    assert m["prefill_gflop_per_s"] < 2 * m["machine_gflop_per_s"]
    assert m["prefill_gflop_per_s"] > 2 * m["decode_gflop_per_s"]
    assert m["prefill_tok_per_s"] > 2 * m["decode_tok_per_s"]


def test_the_cache_is_filled_with_what_it_held_over_and_over(engine: Engine) -> None:
    config = engine.model.config
    cache = ContiguousCache(config, 8)
    last_logits(engine.model, [1, 2, 3], cache)
    nothing = torch.empty(1, config.n_kv_heads, 0, config.d_head)
    before = [cache.append(layer, nothing, nothing)[0].clone() for layer in range(config.n_layers)]
    timings.timed_step_at(engine, cache, 8)
    assert cache.length == 8
    for layer in (0, config.n_layers - 1):
        after = cache.append(layer, nothing, nothing)[0]
        assert torch.equal(after, torch.cat([before[layer]] * 3, dim=2)[:, :, :8])


@pytest.mark.parametrize("probe", [read_gb_per_s, matmul_gflop_per_s])
def test_probes_can_be_cancelled(probe: Callable[[Callable[[], bool]], float]) -> None:
    calls = iter([False, True])
    with pytest.raises(Cancelled):
        probe(lambda: next(calls))


def test_a_tiny_prompt_and_other_scripts(engine: Engine) -> None:
    m = measured(engine, "prefill-decode", text="🙂", max_prompt=16, max_context=64, max_new_tokens=1)
    assert m["decode_slowdown"] == 1.0, "one context only"
    assert m["ttft_ms"] > 0
