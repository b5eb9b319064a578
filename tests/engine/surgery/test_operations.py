"""Operations do what they say, compose, and leave nothing behind."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.quantize import quantize
from llm_holes.engine.surgery.operations import HeadOff, Operation, PackedWeights, QuantizedWeights, matrices, operated
from tests.support.tiny_models import digest

IDS = torch.randint(0, 97, (1, 20), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("head", range(6))
def test_head_off_equals_zeroing_its_columns_of_the_output_projection(tiny: Decoder, head: int) -> None:
    name = "model.layers.1.self_attn.o_proj.weight"
    columns = tiny.weights[name].clone()
    columns[:, head * 16 : (head + 1) * 16] = 0
    zeroed = Decoder(tiny.config, {**tiny.weights, name: columns})
    off = operated(tiny, [HeadOff(1, head)])
    assert torch.allclose(off.forward(IDS).logits, zeroed.forward(IDS).logits, atol=1e-5)
    assert not torch.allclose(off.forward(IDS).logits, tiny.forward(IDS).logits, atol=1e-3)


@pytest.mark.parametrize(
    "operation", [HeadOff(0, 0), QuantizedWeights(3), QuantizedWeights(2, "tensor", part="ffn"), PackedWeights(8)]
)
def test_undo_is_exact(tiny: Decoder, operation: Operation) -> None:
    before, logits = digest(tiny), tiny.forward(IDS).logits
    changed = operated(tiny, [operation]).forward(IDS).logits
    assert not torch.equal(changed, logits)
    assert torch.equal(tiny.forward(IDS).logits, logits)
    assert digest(tiny) == before


def test_operations_compose(tiny: Decoder) -> None:
    both = operated(tiny, [QuantizedWeights(4), HeadOff(0, 1), HeadOff(0, 2)]).forward(IDS).logits
    quantized = operated(tiny, [QuantizedWeights(4)])
    by_hand = operated(operated(quantized, [HeadOff(0, 2)]), [HeadOff(0, 1)]).forward(IDS).logits
    assert torch.equal(both, by_hand)
    assert not torch.equal(both, quantized.forward(IDS).logits)


def test_parts_name_the_matrices_they_say(tiny: Decoder) -> None:
    parts = [set(matrices(tiny, part)) for part in ("attention", "ffn", "embedding")]
    assert [len(part) for part in parts] == [12, 9, 2]
    assert set().union(*parts) == set(matrices(tiny, "all"))


def test_quantizing_one_part_leaves_the_others_shared(tiny: Decoder) -> None:
    changed = operated(tiny, [QuantizedWeights(4, part="ffn")])
    for name, weight in tiny.weights.items():
        assert (changed.weights[name].data_ptr() == weight.data_ptr()) == (".mlp." not in name)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("granularity", ["tensor", "channel", "group"])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_rounding_error_is_at_most_half_a_step(bits: int, granularity: str, symmetric: bool) -> None:
    w = torch.randn(24, 64, generator=torch.Generator().manual_seed(bits))
    q = quantize(w, bits, granularity, 16, symmetric)  # type: ignore[arg-type]  # the literals of the parametrization
    error = (q.dequantized() - w).abs().view(q.codes.shape)
    assert (error <= q.scale * 0.5001 + 1e-6).all()
    assert q.codes.unique().numel() <= 2**bits


def test_quantizing_twice_changes_nothing() -> None:
    w = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    once = quantize(w, 4, "group", 32, symmetric=False).dequantized()
    twice = quantize(once, 4, "group", 32, symmetric=False).dequantized()
    assert torch.allclose(once, twice, atol=1e-6)


def test_bytes_count_codes_and_scales() -> None:
    w = torch.randn(8, 64)
    assert quantize(w, 4, "group", 32, symmetric=False).nbytes == 8 * 64 // 2 + 16 * 4
    assert quantize(w, 8, "channel").nbytes == 8 * 64 + 8 * 2
    assert quantize(w, 3, "tensor").nbytes == 8 * 64 * 3 // 8 + 2


def test_a_constant_row_survives_quantization() -> None:
    w = torch.zeros(4, 32)
    assert torch.equal(quantize(w, 4, "channel").dequantized(), w)
    assert torch.equal(quantize(w, 4, "channel", symmetric=False).dequantized(), w)
