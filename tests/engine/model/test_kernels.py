"""The compiled loops against torch: matrices in fp32, 16, 8 and 4 bits times few vectors and many, and norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.model import kernels
from llm_holes.engine.model.norm import rms_norm
from llm_holes.engine.model.packed import Bf16Weight
from llm_holes.engine.model.product import FEW
from llm_holes.engine.model.quantize import int4_weight, int8_weight, quantize


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def in_4_bits(w: Tensor) -> Tensor:
    """w in groups of 32 whose scale and offset are kept in bfloat16."""
    q = quantize(w, 4, "group", 32, symmetric=False)
    offset = -q.zero_point * q.scale
    return (q.codes * q.scale.bfloat16().float() + offset.bfloat16().float()).view(w.shape)


FORMS: dict[str, tuple[Callable[[Tensor], Callable[[Tensor], Tensor]], Callable[[Tensor], Tensor]]] = {
    "16": (lambda w: Bf16Weight(w.bfloat16()), lambda w: w.bfloat16().float()),
    "8": (int8_weight, lambda w: quantize(w, 8, "channel").dequantized()),
    "4": (int4_weight, in_4_bits),
}
"""By bits: the matrix as it is kept, and what its numbers are then."""


@pytest.mark.parametrize("vectors", [1, FEW])
@pytest.mark.parametrize("rows", [64, 70, 192])
@pytest.mark.parametrize("bits", FORMS)
def test_a_few_vectors_meet_the_rounded_numbers_and_are_summed_in_fp32(bits: str, rows: int, vectors: int) -> None:
    packed, rounded = FORMS[bits]
    w, x = drawn(rows, 96), drawn(1, vectors, 96)
    y = packed(w)(x)
    assert y.shape == (1, vectors, rows)
    torch.testing.assert_close(y, (x.bfloat16().float() if bits == "16" else x) @ rounded(w).T, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("rows", [64, 70])
@pytest.mark.parametrize("bits", FORMS)
def test_many_vectors_meet_the_same_numbers(bits: str, rows: int) -> None:
    packed, rounded = FORMS[bits]
    w, x = drawn(rows, 96), drawn(3, FEW, 96)
    y, expected = packed(w)(x), x @ rounded(w).T
    assert y.shape == (3, FEW, rows)
    assert (y - expected).norm() / expected.norm() < 0.01


@pytest.mark.parametrize("bits", ["8", "4"])
def test_fewer_bits_are_fewer_bytes(bits: str) -> None:
    w = drawn(192, 96)
    scales = {"8": 4 * 192, "4": 2 * 2 * 192 * 3}
    assert FORMS[bits][0](w).nbytes == w.numel() * int(bits) // 8 + scales[bits]  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [torch.nan, torch.inf])
@pytest.mark.parametrize("bits", ["8", "4"])
def test_what_is_no_number_stays_none(bits: str, number: float) -> None:
    x = drawn(1, 96)
    x[0, 5] = number
    assert not FORMS[bits][0](drawn(64, 96))(x).isfinite().any()
    assert rms_norm(x, torch.ones(96), 1e-5)[0, 5].isnan()


@pytest.mark.parametrize("shape", [(64,), (1, 1, 64), (2, 3, 64), (2, 9, 64), (0, 64)])
def test_a_norm_is_torchs(shape: tuple[int, ...]) -> None:
    x, gain = drawn(*shape) * 30, drawn(64)
    torch.testing.assert_close(rms_norm(x, gain, 1e-5), F.rms_norm(x, (64,), gain, 1e-5))
    turned = x.expand(2, *x.shape).transpose(0, -2)
    torch.testing.assert_close(rms_norm(turned, gain, 1e-5), F.rms_norm(turned, (64,), gain, 1e-5))


@pytest.mark.parametrize("of", ["x", "gain"])
def test_a_gradient_flows_through_a_norm(of: str) -> None:
    x, gain = drawn(3, 64).requires_grad_(of == "x"), drawn(64).requires_grad_(of == "gain")
    asked = x if of == "x" else gain
    (found,) = torch.autograd.grad(rms_norm(x, gain, 1e-5)[0].sum(), asked)
    (expected,) = torch.autograd.grad(F.rms_norm(x, (64,), gain, 1e-5)[0].sum(), asked)
    assert torch.equal(found, expected)


def test_a_loop_is_compiled_anew_where_what_was_kept_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = kernels.njit

    def njit(signature: str, *, cache: bool = False, **how: Any) -> Any:
        if cache:
            raise RuntimeError("no locator available")
        return compiled(signature, **how)

    monkeypatch.setattr(kernels, "njit", njit)
    doubled = kernels.compiled("float32[::1](float32[::1])")(lambda x: x + x)
    assert doubled(np.ones(2, np.float32)).tolist() == [2, 2]
