"""RMSNorm, for a few vectors in one pass over their numbers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.model.kernels import rms_norms
from llm_holes.engine.model.product import are_few, is_plain, through


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    """x / rms(x) · gain over the last dimension of x [..., d].

    Torch does it by several operations, each of which takes longer to be called than a few vectors to be read.
    """
    if not (are_few(x) and is_plain(gain)):
        return F.rms_norm(x, x.shape[-1:], gain, eps)
    return through(x, len(gain), rms_norms, gain.numpy(), eps)
