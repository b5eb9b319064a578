"""The neurons of an FFN: how much each adds, what it pushes the output towards, and models without some of them.

A neuron is one row of gate and up and one column of down; its value is SiLU(gate)·up, what it adds value times column
(Geva et al. 2021: keys and values of a memory).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.ablations import weight_name
from llm_holes.engine.surgery.operations import hooked, weight


@dataclass(frozen=True, slots=True)
class NeuronsOff:
    """These neurons of one layer add nothing, at any token."""

    layer: int
    neurons: tuple[int, ...]

    def apply(self, model: Decoder) -> Decoder:
        def silence(values: Tensor) -> Tensor:
            values = values.clone()
            values[..., list(self.neurons)] = 0
            return values

        return hooked(model, tap(self.layer, "mlp.hook_post"), silence)


@dataclass(frozen=True, slots=True)
class StrongestOnly:
    """In every layer and for every token, only the `keep` neurons with the largest values add something."""

    keep: int

    def apply(self, model: Decoder) -> Decoder:
        def strongest(values: Tensor) -> Tensor:
            kept = values.abs().topk(min(self.keep, values.shape[-1])).indices
            return torch.zeros_like(values).scatter(-1, kept, values.gather(-1, kept))

        for layer in range(model.config.n_layers):
            model = hooked(model, tap(layer, "mlp.hook_post"), strongest)
        return model


def columns(model: Decoder, layer: int) -> Tensor:
    """What each neuron writes at value 1, [d_model, neuron]."""
    return weight(model, weight_name(layer, "mlp.down_proj"))


def strengths(model: Decoder, layer: int, values: Tensor) -> Tensor:
    """Norms of what the neurons add to the stream, [..., neuron], from their values."""
    norms: Tensor = columns(model, layer).norm(dim=0)
    return values.abs() * norms


def pushes(model: Decoder, layer: int, neurons: Sequence[int]) -> Tensor:
    """What each neuron at value 1 adds to the logits, [neuron, d_vocab], but for the length the norm divides by."""
    written = columns(model, layer)[:, list(neurons)].T * model.weights["model.norm.weight"]
    return model.linear(written, "model.embed_tokens" if model.config.tied_embeddings else "lm_head")


def isolation(model: Decoder, layer: int, stream: Tensor, position: int, seed: int = 0) -> float:
    """How much the FFN's output at `position` changes when every other token's vector [pos, d_model] is replaced by
    noise as long, between attention and FFN. One more token of noise is at the end, for texts of one token."""
    noise = torch.randn(2, len(stream) + 1, stream.shape[1], generator=torch.Generator().manual_seed(seed))
    noise = torch.nn.functional.normalize(noise, dim=-1) * stream.norm(dim=-1).mean()
    original, replaced = torch.cat((stream, noise[0, -1:])), noise[1].clone()
    replaced[position] = stream[position]
    norm = f"model.layers.{layer}.post_attention_layernorm"
    one, other = (model.ffn(layer, model.norm(x, norm), lambda name, y: y)[position] for x in (original, replaced))
    return float((one - other).abs().max())
