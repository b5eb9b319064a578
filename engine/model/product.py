"""A matrix times one vector or many, in the way that reads the matrix fastest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from llm_holes.engine.model.kernels import dots_fp32

FEW = 6
"""Vectors up to which our loops are faster than the products of torch's MKL."""


def product(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [..., in] through w [out, in], plus `bias` [out]: [..., out].

    A few vectors, all that a step of decoding has, take as long as w takes to be read, for which MKL needs more than
    twice the time on processors of AMD's.
    """
    if not (are_few(x) and is_plain(w) and w.is_contiguous()):
        return F.linear(x, w, bias)
    y = through(x, len(w), dots_fp32, w.numpy())
    return y if bias is None else y + bias


def are_few(x: Tensor) -> bool:
    """Whether x [..., in] is a few vectors that our loops can read."""
    return 0 < x.numel() <= FEW * x.shape[-1] and is_plain(x)


def is_plain(x: Tensor) -> bool:
    """Whether our loops can read it: in fp32, in the machine's own memory, with no gradient asked of it and none of
    torch's operations counted."""
    return x.is_cpu and x.dtype is torch.float32 and not x.requires_grad and not is_in_torch_dispatch_mode()


def through(x: Tensor, out: int, loop: Callable[..., None], *weights: npt.NDArray[np.generic] | float) -> Tensor:
    """What the `loop` over some weights makes of the few vectors x [..., in]: [..., out]."""
    xs = np.ascontiguousarray(x.numpy())
    ys = np.empty((*xs.shape[:-1], out), np.float32)
    loop(*weights, xs.reshape(-1, xs.shape[-1]), ys.reshape(-1, out))
    return torch.from_numpy(ys)
