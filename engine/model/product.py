"""A matrix times one vector or many, by the library that reads the matrix faster."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def product(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [..., in] through w [out, in], plus `bias` [out]: [..., out].

    A single vector, all that a step of decoding has, takes as long as w takes to be read. OpenBLAS, which comes with
    numpy, reads it where it lies, nearly twice as fast as torch's MKL does on processors that are not Intel's.
    """
    if x.numel() != x.shape[-1] or not (_is_numpys(x) and _is_numpys(w)) or is_in_torch_dispatch_mode():
        return F.linear(x, w, bias)  # so too where torch's operations are counted
    with np.errstate(all="ignore"):  # what is no number any more is told elsewhere
        y = torch.from_numpy(x.numpy() @ w.numpy().T)
    return y if bias is None else y + bias


def _is_numpys(x: Tensor) -> bool:
    """Whether numpy can read it where it lies, in fp32, and no gradient is asked of it."""
    return x.is_cpu and x.dtype is torch.float32 and not x.requires_grad
