"""One short list per token instead of the keys and values of all heads, from which these are computed again.

Source: DeepSeek-AI 2024 (multi-head latent attention), where the lists are learnt in training; here they are fitted
to a trained model by principal components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import reweighted, weight

POINT = "ln1.hook_normalized"


@dataclass(frozen=True, slots=True)
class KVLatent:
    """In the layers of `directions` the keys (before RoPE) and values of all heads are what a few numbers of each token
    say: `directions` [2 · kv_head · d_head, numbers] are orthonormal, and what lies outside of them is lost. The cache
    would hold only those numbers. The model computes with the matrices multiplied out, which is the same."""

    directions: dict[int, Tensor]

    def apply(self, model: Decoder) -> Decoder:
        changed: dict[str, Tensor] = {}
        for layer, directions in self.directions.items():
            names = _names(layer)
            stacked = torch.cat([weight(model, name) for name in names])
            kept = directions @ (directions.T @ stacked)
            changed |= dict(zip(names, kept.chunk(2), strict=True))
        return reweighted(model, changed)


def fitted(model: Decoder, layers: Sequence[int], numbers: int, ids: Sequence[int]) -> KVLatent:
    """The directions in which keys and values, all heads of a layer together, vary most on the text `ids`."""
    taps = [tap(layer, POINT) for layer in layers]
    acts = model.forward(torch.tensor([list(ids)]), taps=taps, logits_to_keep=1).acts
    found: dict[int, Tensor] = {}
    for layer in layers:
        stacked = torch.cat([weight(model, name) for name in _names(layer)])
        vectors = stacked @ torch.as_tensor(acts[tap(layer, POINT)][0]).T
        found[layer] = torch.linalg.svd(vectors, full_matrices=False).U[:, :numbers]
    return KVLatent(found)


def _names(layer: int) -> list[str]:
    return [f"model.layers.{layer}.self_attn.{kind}_proj.weight" for kind in "kv"]
