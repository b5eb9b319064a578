"""Operations that break something: parts left out, positions and masks changed, matrices spoiled, layers exchanged.

Operations act on a place in the stack: a head silenced in layer 3 stays silenced there when layer 3 and 5 are swapped.
A layer given as None means every layer.

Sources: Su et al. 2021 (a rotation by n positions turns keys by n), Xiao et al. 2023 (the sink), Beltagy et al. 2020
(the window), Yu et al. 2024 (one weight that everything depends on).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder, Hook
from llm_holes.engine.model.hook_names import in_all_layers, tap
from llm_holes.engine.surgery.operations import Without, hooked, reweighted, turned_further, weight
from llm_holes.engine.surgery.sparse_attention import SparseMask
from llm_holes.engine.surgery.weights import MatricesNoised, WeightScaled

Matrix = Literal[
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
]
MATRICES: tuple[Matrix, ...] = get_args(Matrix)


def weight_name(layer: int, matrix: Matrix) -> str:
    """The Hugging Face name of a layer's matrix."""
    return f"model.layers.{layer}.{matrix}.weight"


def matrices_of(model: Decoder) -> tuple[Matrix, ...]:
    """The matrices that a layer of this model has: families without a gate have one less."""
    return tuple(matrix for matrix in MATRICES if weight_name(0, matrix) in model.weights)


@dataclass(frozen=True, slots=True)
class AttentionOff:
    """The layer's attention adds nothing to the stream; what the cache holds for it is still computed."""

    layer: int

    def apply(self, model: Decoder) -> Decoder:
        return hooked(model, tap(self.layer, "hook_attn_out"), torch.zeros_like)


@dataclass(frozen=True, slots=True)
class FfnOff:
    """The layer's FFN adds nothing to the stream."""

    layer: int

    def apply(self, model: Decoder) -> Decoder:
        return hooked(model, tap(self.layer, "hook_mlp_out"), torch.zeros_like)


@dataclass(frozen=True, slots=True)
class LayerSkipped:
    """Neither update of the layer is added: the stream passes by unchanged."""

    layer: int

    def apply(self, model: Decoder) -> Decoder:
        return FfnOff(self.layer).apply(AttentionOff(self.layer).apply(model))


@dataclass(frozen=True, slots=True)
class PositionsShifted:
    """Turns every key `shift` positions further than its place, so that it seems nearer (or, below 0, farther)."""

    shift: int
    layer: int | None = None

    def apply(self, model: Decoder) -> Decoder:
        return turned_further(model, self.layer, "attn.hook_rot_k", self.shift)


@dataclass(frozen=True, slots=True)
class SinkEvicted:
    """No token after the first may look at the first one."""

    layer: int | None = None

    def apply(self, model: Decoder) -> Decoder:
        def evict(scores: Tensor) -> Tensor:
            query, key = _places(scores)
            return scores.masked_fill((key == 0) & (query > 0), -torch.inf)

        return _hooked(model, self.layer, "attn.hook_attn_scores", evict)


@dataclass(frozen=True, slots=True)
class WindowOnly:
    """Each token sees itself and the `window` - 1 tokens before it."""

    window: int
    layer: int | None = None

    def apply(self, model: Decoder) -> Decoder:
        def narrow(scores: Tensor) -> Tensor:
            return scores.masked_fill(~SparseMask("window", self.window).sees(*_places(scores)), -torch.inf)

        return _hooked(model, self.layer, "attn.hook_attn_scores", narrow)


@dataclass(frozen=True, slots=True)
class NoisyWeights:
    """Adds Gaussian noise to one matrix; `sigma` is in standard deviations of the matrix itself."""

    layer: int
    matrix: Matrix
    sigma: float
    seed: int

    def apply(self, model: Decoder) -> Decoder:
        return MatricesNoised((weight_name(self.layer, self.matrix),), self.sigma, self.seed).apply(model)


@dataclass(frozen=True, slots=True)
class WeightZeroed:
    """Sets one number of one matrix [out, in] to zero."""

    layer: int
    matrix: Matrix
    row: int
    column: int

    def apply(self, model: Decoder) -> Decoder:
        return WeightScaled(weight_name(self.layer, self.matrix), self.row, self.column, 0).apply(model)


@dataclass(frozen=True, slots=True)
class LayersSwapped:
    """Exchanges all weights of two layers."""

    first: int
    second: int

    def apply(self, model: Decoder) -> Decoder:
        places = {f"model.layers.{self.first}.": self.second, f"model.layers.{self.second}.": self.first}

        def moved(name: str) -> str:
            for place, to in places.items():
                if name.startswith(place):
                    return f"model.layers.{to}.{name.removeprefix(place)}"
            return name

        own = (name for name in model.weights if moved(name) != name)
        weights = reweighted(model, {moved(name): model.weights[name] for name in own}).weights
        return replace(model, weights=weights, packed={moved(name): w for name, w in model.packed.items()})


@dataclass(frozen=True, slots=True)
class NormRemoved:
    """Attention and FFN of the layer read the stream as it is, at its own length, and add to it what they make."""

    layer: int

    def apply(self, model: Decoder) -> Decoder:
        place = f"model.layers.{self.layer}."
        norms = {f"{place}{norm}.weight" for norm in model.config.norms}
        return replace(model, weights=Without(model.weights, norms))


@dataclass(frozen=True, slots=True)
class ResidualRemoved:
    """What attention makes takes the stream's place instead of being added to it, and what the FFN makes after it."""

    layer: int

    def apply(self, model: Decoder) -> Decoder:
        for before, update in (("hook_resid_pre", "hook_attn_out"), ("hook_resid_mid", "hook_mlp_out")):
            model = _replacing(model, tap(self.layer, before), tap(self.layer, update))
        return model


def super_weight(model: Decoder, ids: Sequence[int]) -> WeightZeroed:
    """Zeroes the weight that makes the largest number any FFN writes into the stream on this text: its row is where
    that number appears, its column the neuron that contributes most to it."""
    layers = range(model.config.n_layers)
    points = ("mlp.hook_post", "hook_mlp_out")
    names = frozenset().union(*(in_all_layers(point, len(layers)) for point in points))
    acts = model.forward(torch.tensor([list(ids)]), taps=names, logits_to_keep=1).acts
    written = [torch.as_tensor(acts[tap(layer, "hook_mlp_out")][0]).abs() for layer in layers]
    layer = max(layers, key=lambda n: float(written[n].max()))
    position, row = divmod(int(written[layer].argmax()), written[layer].shape[1])
    neurons = torch.as_tensor(acts[tap(layer, "mlp.hook_post")][0, position])
    column = int((weight(model, weight_name(layer, "mlp.down_proj"))[row] * neurons).abs().argmax())
    return WeightZeroed(layer, "mlp.down_proj", row, column)


def _replacing(model: Decoder, before: str, update: str) -> Decoder:
    """The model in which the stream at the point `before` is taken from what is added to it at the point `update`."""
    stream: list[Tensor] = []

    def remember(x: Tensor) -> Tensor:
        stream[:] = [x]
        return x

    return hooked(hooked(model, before, remember), update, lambda added: added - stream[0])


def _hooked(model: Decoder, layer: int | None, point: str, hook: Hook) -> Decoder:
    for place in range(model.config.n_layers) if layer is None else (layer,):
        model = hooked(model, tap(place, point), hook)
    return model


def _places(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of the queries, as a column, and of the keys: with a cache, the queries are the last of them."""
    queries, keys = scores.shape[-2:]
    key = torch.arange(keys)
    return key[keys - queries :, None], key
