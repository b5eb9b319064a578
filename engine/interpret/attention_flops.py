"""What one attention block costs, from a formula and counted while it runs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from llm_holes.engine.model.decoder import Decoder, rotary
from llm_holes.engine.model.hook_names import tap

FP32_BYTES = 4


@dataclass(frozen=True, slots=True)
class AttentionCost:
    """One layer's attention over `tokens`, as a dense product computes it: all pairs, the masked ones too. A product of
    m×k and k×n numbers is 2·m·k·n operations. `n_heads` share d_model; `kv_width` is the width of keys and values."""

    tokens: int
    d_model: int
    n_heads: int
    d_head: int
    kv_width: int

    @property
    def projections(self) -> int:
        """FLOPs of the products with W_q, W_k, W_v and W_o."""
        width = self.n_heads * self.d_head
        return 2 * self.tokens * self.d_model * (2 * width + 2 * self.kv_width)

    @property
    def scores(self) -> int:
        """FLOPs of q·k for all pairs in all heads."""
        return 2 * self.n_heads * self.tokens**2 * self.d_head

    @property
    def flops(self) -> int:
        """Projections, scores, and the weighted sum of values, which is as large as the scores."""
        return self.projections + 2 * self.scores

    @property
    def score_bytes(self) -> int:
        """Bytes of all heads' scores in fp32."""
        return self.n_heads * self.tokens**2 * FP32_BYTES


def cost_of(model: Decoder, tokens: int) -> AttentionCost:
    """What one layer of this model costs."""
    c = model.config
    return AttentionCost(tokens, c.d_model, c.n_heads, c.d_head, c.n_kv_heads * c.d_head)


@torch.no_grad()
def counted(model: Decoder, layer: int, x: Tensor) -> tuple[int, int]:
    """Operations and bytes of scores of one layer's attention over normed vectors x [pos, d_model], as it runs."""
    name = tap(layer, "attn.hook_pattern")
    sizes: list[int] = []

    def at(place: str, value: Tensor) -> Tensor:
        if place == name:
            sizes.append(value.nbytes)
        return value

    with FlopCounterMode(display=False) as counter:
        model.attention(layer, x[None], rotary(model.config.ropes[layer], 0, len(x)), None, at, {name})
    return int(counter.get_total_flops()), sizes[0]
