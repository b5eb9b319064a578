"""Attention without a part nobody draws: the division of scores, turns by place, the mask, heads of their own.

A layer given as None means every layer.

Sources: Vaswani et al. 2017 (why scores are divided), Su et al. 2021 (places as turns), Michel et al. 2019 (what heads
are worth).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder, Hook
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import AttentionReplaced, hooked, turned_further


@dataclass(frozen=True, slots=True)
class ScoresUndivided:
    """Scores go to softmax as large as the dot products are, not divided by √d_head."""

    layer: int | None = None

    def apply(self, model: Decoder) -> Decoder:
        return _hooked(model, self.layer, "attn.hook_attn_scores", lambda x: x * math.sqrt(model.config.d_head))


@dataclass(frozen=True, slots=True)
class PlacesUntold:
    """Queries and keys are not turned by their places: no token knows which of the earlier ones comes when."""

    layer: int | None = None

    def apply(self, model: Decoder) -> Decoder:
        for layer in _layers(model, self.layer):
            for point in "qk":
                model = _unturned(model, tap(layer, f"attn.hook_{point}"), tap(layer, f"attn.hook_rot_{point}"))
        return model


@dataclass(frozen=True, slots=True)
class PlacesMoved:
    """Every query and key is turned as if its token stood `by` places further on."""

    by: int
    layer: int | None = None

    def apply(self, model: Decoder) -> Decoder:
        for point in ("attn.hook_rot_q", "attn.hook_rot_k"):
            model = turned_further(model, self.layer, point, self.by)
        return model


@dataclass(frozen=True, slots=True)
class FutureVisible:
    """Every token sees all tokens of the pass, those after it too."""

    layer: int | None = None

    def apply(self, model: Decoder) -> Decoder:
        return AttentionReplaced(unmasked, tuple(_layers(model, self.layer))).apply(model)


@dataclass(frozen=True, slots=True)
class PatternShared:
    """In these layers every head looks where the layer's heads look on average; values and weights stay its own."""

    layers: tuple[int, ...]

    def apply(self, model: Decoder) -> Decoder:
        for layer in self.layers:
            model = hooked(model, tap(layer, "attn.hook_pattern"), lambda x: x.mean(1, keepdim=True).expand_as(x))
        return model


def unmasked(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Every token sees all tokens that have been read, later ones too."""
    return F.scaled_dot_product_attention(q, k, v, enable_gqa=True)


def _unturned(model: Decoder, before: str, after: str) -> Decoder:
    """The model in which what passes at the point `after` is what passed at `before`."""
    passed: list[Tensor] = []

    def remember(x: Tensor) -> Tensor:
        passed[:] = [x]
        return x

    return hooked(hooked(model, before, remember), after, lambda _: passed[0])


def _layers(model: Decoder, layer: int | None) -> Sequence[int]:
    return range(model.config.n_layers) if layer is None else (layer,)


def _hooked(model: Decoder, layer: int | None, point: str, hook: Hook) -> Decoder:
    for place in _layers(model, layer):
        model = hooked(model, tap(place, point), hook)
    return model
