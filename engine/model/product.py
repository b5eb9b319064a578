"""A matrix times one vector or many, in the way that reads the matrix fastest."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

FEW = 5
"""Vectors up to which MKL is faster at w · xᵀ than at x · wᵀ; with six both take as long."""


def product(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [..., in] through w [out, in], plus `bias` [out]: [..., out].

    A few vectors, all that a step of decoding has, take as long as w takes to be read. For a single one OpenBLAS, which
    comes with numpy, reads it where it lies, nearly twice as fast as torch's MKL does on processors that are not
    Intel's; for two to five, MKL needs little more than half the time where w is the first factor.
    """
    vectors = x.numel() // x.shape[-1]
    if vectors == 1 and _is_numpys(x) and _is_numpys(w) and not is_in_torch_dispatch_mode():
        with np.errstate(all="ignore"):  # what is no number any more is told elsewhere
            y = torch.from_numpy(x.numpy() @ w.numpy().T)
    elif 1 < vectors <= FEW and _is_plain(x) and _is_plain(w):
        y = (w @ x.flatten(0, -2).T).T.contiguous().view(*x.shape[:-1], -1)
    else:
        return F.linear(x, w, bias)  # so too a single one where torch's operations are counted
    return y if bias is None else y + bias


def _is_numpys(x: Tensor) -> bool:
    """Whether numpy can read it where it lies, in fp32, and no gradient is asked of it."""
    return _is_plain(x) and not x.requires_grad


def _is_plain(x: Tensor) -> bool:
    """Whether it lies in the machine's own memory, in fp32."""
    return x.is_cpu and x.dtype is torch.float32
