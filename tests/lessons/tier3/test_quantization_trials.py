"""Bytes, errors, levels and the choice of rounding, against the same counted by hand on small weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.model.quantize import CHUNK, quantize
from llm_holes.engine.surgery.operations import QuantizedKV, QuantizedWeights, largest_of_channels, operated
from llm_holes.lessons.tier3.quantization.trials import LADDER, Trial, levels_per_block, pareto, sizes, trials

IDS = list(range(20))


def test_sizes_and_errors_are_those_counted_by_hand(tiny: Decoder) -> None:
    rounding = QuantizedWeights(4, "group", 16, symmetric=False, part="ffn")
    rounded = operated(tiny, [rounding])
    found = sizes(tiny, rounded, rounding)
    names = [name for name in tiny.weights if ".mlp." in name]
    weights = torch.cat([tiny.weights[name].flatten() for name in names])
    errors = torch.cat([rounded.weights[name].flatten() for name in names]) - weights
    everything = sum(w.numel() for w in tiny.weights.values())
    codes = len(weights) // 2 + len(weights) // 16 * 4
    assert found["weight_bytes"] == 4 * (everything - len(weights)) + codes
    assert found["bits_per_weight"] == 8 * codes / len(weights) == 6
    assert found["weight_rmse"] == pytest.approx(float(errors.square().mean().sqrt()), rel=1e-4)
    assert found["weight_error_relative"] == pytest.approx(float(errors.norm() / weights.norm()), rel=1e-4)


def test_a_cached_token_weighs_its_codes_and_a_scale_per_vector(tiny: Decoder) -> None:
    vectors = 2 * 3 * 2
    assert QuantizedKV(4).stored_bytes(tiny.config) == vectors * (16 // 2 + 2)


def test_only_keys_or_only_values_are_rounded_and_a_place_may_have_one_scale_for_all_tokens(tiny: Decoder) -> None:
    text, key, value = torch.tensor([IDS]), tap(0, "attn.hook_rot_k"), tap(0, "attn.hook_v")
    intact = tiny.forward(text, taps=[key, value]).acts
    rounded = operated(tiny, [QuantizedKV(3, "values")]).forward(text, taps=[key, value]).acts
    assert (rounded[key] == intact[key]).all()
    assert (rounded[value] != intact[value]).any()
    largest = largest_of_channels(tiny, IDS, "keys")
    assert torch.equal(largest[key], torch.from_numpy(intact[key][0]).abs().amax(0))
    op = QuantizedKV(3, "keys", largest)
    codes = torch.from_numpy(operated(tiny, [op]).forward(text, taps=[key]).acts[key]) / (largest[key] / 3)
    assert torch.allclose(codes, codes.round(), atol=1e-4)
    assert codes.abs().max() <= 3.0001
    assert op.stored_bytes(tiny.config) == 3 * 2 * 16 * 3 // 8 + 3 * 2 * 16 * 4


def test_nothing_rounded_costs_nothing(tiny: Decoder) -> None:
    rounding = QuantizedWeights(4, part="none")
    found = sizes(tiny, operated(tiny, [rounding]), rounding)
    assert found["weight_bytes"] == found["weight_bytes_fp32"]
    assert (found["bits_per_weight"], found["weight_error_relative"]) == (32, 0)


def test_levels_are_counted_within_blocks_of_32() -> None:
    w = torch.zeros(4, 64)
    w[2, 32:] = torch.arange(32) % 5
    w[3] = torch.arange(64) % 3
    assert levels_per_block(w) == 5
    rng = torch.Generator().manual_seed(1)
    assert levels_per_block(quantize(torch.randn(200, 96, generator=rng), 4, "group", 32, False).dequantized()) == 16
    assert levels_per_block(torch.randn(5, 7, generator=rng)) == 32


@pytest.mark.parametrize("granularity", ["tensor", "channel", "group"])
def test_rounding_in_pieces_is_rounding_at_once(granularity: str) -> None:
    w = torch.randn(64, CHUNK // 32, generator=torch.Generator().manual_seed(3))
    for symmetric in (True, False):
        q = quantize(w, 3, granularity, 32, symmetric)  # type: ignore[arg-type]  # the literals of the parametrization
        blocks = w.view(q.codes.shape)
        low, high = (-3, 3) if symmetric else (0, 7)
        assert torch.equal(q.codes, (blocks / q.scale + q.zero_point).round().clamp(low, high))
        assert torch.equal(q.dequantized(), ((q.codes - q.zero_point) * q.scale).view(w.shape))


def test_every_rung_is_tried_and_more_bits_are_nearer(tiny: Decoder) -> None:
    found = {trial.name: trial for trial in trials(tiny, IDS, "layers", 16)}
    assert len(found) == len(LADDER)
    assert found["8 bits per channel"].kl_nats < found["4 bits per channel"].kl_nats
    assert found["4 bits per group, asymmetric"].weight_bytes > found["4 bits per group"].weight_bytes
    assert all(trial.kl_nats >= 0 for trial in found.values())


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_the_front_beats_all_others_and_no_member_beats_another(costs: list[tuple[int, int]]) -> None:
    found = [Trial(str(i), size, 0.0, float(kl)) for i, (size, kl) in enumerate(costs)]

    def beats(a: Trial, b: Trial) -> bool:
        no_worse = a.weight_bytes <= b.weight_bytes and a.kl_nats <= b.kl_nats
        return no_worse and (a.weight_bytes < b.weight_bytes or a.kl_nats < b.kl_nats)

    front = pareto(found)
    assert front
    for trial in found:
        assert (trial in front) == (not any(beats(other, trial) for other in found))
        assert trial in front or any(beats(other, trial) for other in front)
