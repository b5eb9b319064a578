"""A few vectors through a matrix, by a loop of our own, against torch's linear map."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from llm_holes.engine.model import product as module
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.product import product

W, BIAS = torch.randn(40, 24, generator=torch.Generator().manual_seed(0)), torch.arange(40.0)


@pytest.mark.parametrize("shape", [(24,), (1, 24), (1, 1, 24)])
@pytest.mark.parametrize("w", [W, torch.cat([W, W], 1)[:, 24:], W.T.contiguous().T], ids=["whole", "a part", "turned"])
@pytest.mark.parametrize("bias", [None, BIAS], ids=["bare", "biased"])
def test_one_vector_gives_what_torch_gives(shape: tuple[int, ...], w: Tensor, bias: Tensor | None) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(product(x, w, bias), F.linear(x, w, bias), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 24), (1, 5, 24), (4, 1, 24), (2, 2, 24), (3, 24, 2)])
@pytest.mark.parametrize("bias", [None, BIAS], ids=["bare", "biased"])
def test_a_few_vectors_give_what_torch_gives_and_lie_as_it_lays_them(
    shape: tuple[int, ...], bias: Tensor | None
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    x = x if shape[-1] == 24 else x.transpose(1, 2)
    y, expected = product(x, W, bias), F.linear(x, W, bias)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    assert y.stride() == expected.stride()


def test_what_is_no_number_is_none_without_a_warning() -> None:
    with warnings.catch_warnings(action="error"):
        y = product(torch.tensor([torch.inf, -torch.inf]), torch.ones(3, 2))
    assert y.isnan().all()


def test_a_step_of_decoding_asks_torch_for_no_linear_map(tiny: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.Size] = []

    def linear(x: Tensor, *rest: Any) -> Tensor:
        asked.append(x.shape)
        return torch.nn.functional.linear(x, *rest)

    monkeypatch.setattr(module, "F", type("Spied", (), {"linear": staticmethod(linear)}))
    tiny.forward(torch.tensor([[1]]))
    tiny.forward(torch.tensor([[1]] * module.FEW))
    assert not asked
    tiny.forward(torch.tensor([[1] * (module.FEW + 1)]))
    assert asked


@pytest.mark.parametrize("vectors", [1, 2])
@pytest.mark.parametrize("of", ["x", "w"])
def test_a_gradient_flows_through_a_few_vectors(of: str, vectors: int) -> None:
    x, w = torch.ones(vectors, 24, requires_grad=of == "x"), W.clone().requires_grad_(of == "w")
    product(x, w).sum().backward()
    found, expected = (x.grad, W.sum(0).expand(vectors, 24)) if of == "x" else (w.grad, torch.full((40, 24), vectors))
    assert found is not None
    torch.testing.assert_close(found, expected.float())


@pytest.mark.parametrize("vectors", [1, 2])
def test_operations_on_a_few_vectors_are_counted_where_torch_counts_them(vectors: int) -> None:
    with FlopCounterMode(display=False) as counter:
        product(torch.ones(vectors, 24), W)
    assert counter.get_total_flops() == 2 * vectors * W.numel()


def test_one_vector_in_16_bits_stays_in_16_bits() -> None:
    assert product(torch.ones(1, 24).bfloat16(), W.bfloat16()).dtype == torch.bfloat16
