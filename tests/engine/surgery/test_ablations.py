"""Each way to break a model equals the same done by hand, survives a cache, composes, and is undone exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Decoder, rotary, rotate
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.model.quantize import quantize
from llm_holes.engine.surgery.ablations import (
    MATRICES,
    AttentionOff,
    FfnOff,
    LayerSkipped,
    LayersSwapped,
    NoisyWeights,
    NormRemoved,
    PositionsShifted,
    ResidualRemoved,
    SinkEvicted,
    WeightZeroed,
    WindowOnly,
    super_weight,
    weight_name,
)
from llm_holes.engine.surgery.operations import HeadOff, Operation, PackedWeights, QuantizedWeights, operated, weight
from tests.support.tiny_models import digest, ours, reference

IDS = torch.randint(0, 97, (2, 20), generator=torch.Generator().manual_seed(5))
O1, DOWN1 = weight_name(1, "self_attn.o_proj"), weight_name(1, "mlp.down_proj")
ALL: list[Operation] = [
    AttentionOff(1),
    FfnOff(1),
    LayerSkipped(1),
    PositionsShifted(3),
    PositionsShifted(-2, 1),
    SinkEvicted(),
    SinkEvicted(1),
    WindowOnly(3),
    WindowOnly(2, 0),
    NoisyWeights(1, "mlp.up_proj", 0.5, 7),
    WeightZeroed(1, "mlp.down_proj", 3, 5),
    LayersSwapped(0, 2),
    NormRemoved(1),
    ResidualRemoved(1),
    QuantizedWeights(2, names=(O1,)),
]


def logits(model: Decoder) -> Tensor:
    return model.forward(IDS).logits


def with_weights(model: Decoder, changed: dict[str, Tensor]) -> Decoder:
    return Decoder(model.config, {**model.weights, **changed})


@pytest.mark.parametrize(
    ("operation", "zeroed"), [(AttentionOff(1), [O1]), (FfnOff(1), [DOWN1]), (LayerSkipped(1), [O1, DOWN1])]
)
def test_a_part_left_out_equals_its_last_matrix_zeroed(tiny: Decoder, operation: Operation, zeroed: list[str]) -> None:
    by_hand = with_weights(tiny, {name: torch.zeros_like(tiny.weights[name]) for name in zeroed})
    assert torch.allclose(logits(operated(tiny, [operation])), logits(by_hand), atol=1e-5)


def test_a_skipped_layer_passes_the_stream_on(tiny: Decoder) -> None:
    ends = [tap(1, "hook_resid_pre"), tap(1, "hook_resid_post")]
    acts = operated(tiny, [LayerSkipped(1)]).forward(IDS, taps=ends).acts
    assert (acts[ends[0]] == acts[ends[1]]).all()
    assert abs(acts[ends[0]]).max() > 0


def test_without_residual_the_answers_take_the_streams_place(tiny: Decoder) -> None:
    update = tap(1, "hook_attn_out")
    answer = torch.tensor(tiny.forward(IDS, taps=[update]).acts[update])
    points = [tap(1, point) for point in ("ln2.hook_normalized", "hook_resid_post")]
    acts = operated(tiny, [ResidualRemoved(1)]).forward(IDS, taps=points).acts
    normed, after = (torch.tensor(acts[point]) for point in points)
    assert torch.allclose(normed, tiny.norm(answer, "model.layers.1.post_attention_layernorm"), atol=1e-4)
    assert torch.allclose(after, tiny.ffn(1, normed, lambda _, x: x), atol=1e-4)


def attention_by_hand(tiny: Decoder, layer: int, key_places: Tensor, seen: Callable[[int, int], bool]) -> Tensor:
    """z [batch, pos, head, d_head] with keys at these places, each query looking only at what it has `seen`."""
    names = [tap(layer, f"attn.hook_{x}") for x in ("q", "k", "v")]
    q, k, v = (torch.tensor(tiny.forward(IDS, taps=names).acts[name]) for name in names)
    places = torch.arange(IDS.shape[1])
    every = rotary(tiny.config.ropes[0], -50, 50)
    q = rotate(q, replace(every, cos=every.cos[places + 50], sin=every.sin[places + 50]))
    k = rotate(k, replace(every, cos=every.cos[key_places + 50], sin=every.sin[key_places + 50]))
    z = torch.zeros_like(q)
    for head in range(q.shape[2]):
        group = head // tiny.config.kv_group
        for query in range(len(places)):
            keys = [key for key in range(query + 1) if seen(query, key)]
            scores = (q[:, query, head, None] * k[:, keys, group]).sum(-1) / math.sqrt(tiny.config.d_head)
            z[:, query, head] = (scores.softmax(-1)[..., None] * v[:, keys, group]).sum(1)
    return z


@pytest.mark.parametrize("layer", [0, None])
@pytest.mark.parametrize(
    ("operation", "shift", "seen"),
    [
        (lambda layer: PositionsShifted(3, layer), 3, lambda query, key: True),
        (lambda layer: PositionsShifted(-2, layer), -2, lambda query, key: True),
        (SinkEvicted, 0, lambda query, key: key > 0 or query == 0),
        (lambda layer: WindowOnly(4, layer), 0, lambda query, key: query - key < 4),
    ],
)
def test_who_sees_whom_and_how_far_equals_attention_by_hand(
    tiny: Decoder,
    layer: int | None,
    operation: Callable[[int | None], Operation],
    shift: int,
    seen: Callable[[int, int], bool],
) -> None:
    damaged = operated(tiny, [operation(layer)])
    z = torch.tensor(damaged.forward(IDS, taps=[tap(0, "attn.hook_z")]).acts[tap(0, "attn.hook_z")])
    expected = attention_by_hand(tiny, 0, torch.arange(IDS.shape[1]) + shift, seen)
    assert (z - expected).abs().max() < 1e-4
    layers_touched = {name.split(".")[1] for name in damaged.hooks}
    assert layers_touched == ({"0"} if layer == 0 else {"0", "1", "2"})


def test_layers_swapped_equal_their_weights_renamed(tiny: Decoder) -> None:
    pairs = {0: 2, 2: 0, 1: 1}
    by_hand = {}
    for name, w in tiny.weights.items():
        parts = name.split(".")
        if parts[1] == "layers":
            parts[2] = str(pairs[int(parts[2])])
        by_hand[".".join(parts)] = w
    assert torch.equal(logits(operated(tiny, [LayersSwapped(0, 2)])), logits(Decoder(tiny.config, by_hand)))
    assert torch.equal(logits(operated(tiny, [LayersSwapped(0, 2), LayersSwapped(2, 0)])), logits(tiny))


def test_spoiled_matrices_equal_the_same_numbers_written_by_hand(tiny: Decoder) -> None:
    zeroed = tiny.weights[DOWN1].clone()
    zeroed[3, 5] = 0
    by_hand = logits(with_weights(tiny, {DOWN1: zeroed}))
    assert torch.equal(logits(operated(tiny, [WeightZeroed(1, "mlp.down_proj", 3, 5)])), by_hand)
    rounded = quantize(tiny.weights[O1], 2, "channel").dequantized()
    by_hand = logits(with_weights(tiny, {O1: rounded}))
    assert torch.equal(logits(operated(tiny, [QuantizedWeights(2, names=(O1,))])), by_hand)


def test_noise_is_of_the_size_asked_for_and_the_same_each_time(tiny: Decoder) -> None:
    noise = [
        operated(tiny, [NoisyWeights(1, "mlp.down_proj", 0.5, seed)]).weights[DOWN1] - tiny.weights[DOWN1]
        for seed in (7, 7, 8)
    ]
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[0], noise[2])
    assert float(noise[0].std() / tiny.weights[DOWN1].std()) == pytest.approx(0.5, rel=0.05)


def test_without_its_norms_a_layer_reads_the_stream_itself(tiny: Decoder) -> None:
    points = ("hook_resid_pre", "ln1.hook_normalized", "hook_resid_mid", "ln2.hook_normalized")
    acts = operated(tiny, [NormRemoved(1)]).forward(IDS, taps=[tap(n, p) for n in (1, 2) for p in points]).acts
    for stream, read in (points[:2], points[2:]):
        assert (acts[tap(1, stream)] == acts[tap(1, read)]).all()
        x = torch.tensor(acts[tap(2, stream)])
        norm = "input_layernorm" if stream == points[0] else "post_attention_layernorm"
        gain = tiny.weights[f"model.layers.2.{norm}.weight"]
        assert torch.allclose(torch.tensor(acts[tap(2, read)]), F.rms_norm(x, x.shape[-1:], gain, 1e-6), atol=1e-4)


def test_the_super_weight_is_the_one_planted(tiny: Decoder) -> None:
    planted = tiny.weights[DOWN1].clone()
    planted[17, 40] = 1000
    found = super_weight(with_weights(tiny, {DOWN1: planted}), IDS[0].tolist())
    assert found == WeightZeroed(1, "mlp.down_proj", 17, 40)


@pytest.mark.parametrize("operation", ALL, ids=str)
def test_undo_is_exact(tiny: Decoder, operation: Operation) -> None:
    before, intact = digest(tiny), logits(tiny)
    assert not torch.allclose(logits(operated(tiny, [operation])), intact, atol=1e-4)
    assert torch.equal(logits(tiny), intact)
    assert digest(tiny) == before


@pytest.mark.parametrize("operation", ALL, ids=str)
def test_a_cache_changes_nothing(tiny: Decoder, operation: Operation) -> None:
    damaged = operated(tiny, [operation])
    cache = ContiguousCache(tiny.config, capacity=4, batch=2)
    parts = [damaged.forward(part, cache).logits for part in IDS.split([9, 1, 1, 9], dim=1)]
    # the noise of a random model whose stream is not normed is large, so are its logits
    whole = logits(damaged)
    assert (torch.cat(parts, 1) - whole).abs().max() < 1e-4 * max(1.0, float(whole.abs().max()))


@pytest.mark.parametrize("operation", ALL, ids=str)
def test_operations_compose_with_others(tiny: Decoder, operation: Operation) -> None:
    others: list[Operation] = [HeadOff(0, 1), QuantizedWeights(4)]
    both, alone, without = (
        logits(operated(tiny, ops)) for ops in ([operation, *others], [operation], list[Operation](others))
    )
    assert not torch.allclose(both, alone, atol=1e-4)
    assert not torch.allclose(both, without, atol=1e-4)
    assert torch.equal(both, logits(operated(operated(tiny, [operation]), others)))


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_packed_matrix_can_be_spoiled_too(tiny: Decoder, matrix: str) -> None:
    name = weight_name(1, matrix)  # type: ignore[arg-type]  # the literals of the parametrization
    packed = operated(tiny, [PackedWeights(8)])
    rounded = quantize(tiny.weights[name], 8, "channel").dequantized()
    assert torch.allclose(weight(packed, name), rounded, rtol=0.01, atol=1e-3)
    noisy = operated(packed, [NoisyWeights(1, matrix, 0.5, 7)])  # type: ignore[arg-type]
    assert name.removesuffix(".weight") not in noisy.packed
    assert len(noisy.packed) == len(packed.packed) - 1
    assert not torch.allclose(logits(noisy), logits(packed), atol=1e-3)


def test_layers_swapped_take_their_packed_matrices_along(tiny: Decoder) -> None:
    first = logits(operated(tiny, [PackedWeights(8), LayersSwapped(0, 2)]))
    assert torch.equal(first, logits(operated(tiny, [LayersSwapped(0, 2), PackedWeights(8)])))


def test_qwen3_keeps_its_head_norms_when_its_layer_norms_go() -> None:
    model = ours(reference("qwen3"))
    points = [tap(1, "hook_resid_pre"), tap(1, "attn.hook_q")]
    acts = operated(model, [NormRemoved(1)]).forward(IDS, taps=points).acts
    q = F.linear(torch.tensor(acts[points[0]]), model.weights[weight_name(1, "self_attn.q_proj")])
    q = q.view(*IDS.shape, model.config.n_heads, model.config.d_head)
    gain = model.weights["model.layers.1.self_attn.q_norm.weight"]
    expected = F.rms_norm(q, q.shape[-1:], gain, model.config.norm_eps)
    assert torch.allclose(torch.tensor(acts[points[1]]), expected, atol=1e-4)
