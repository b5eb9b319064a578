"""Sharing keys and values among query heads, changed after training: copied apart, merged into one, dealt out anew.

Sources: Shazeer 2019 (multi-query), Ainslie et al. 2023 (grouped-query, and merging heads by their mean).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder, fused_attention
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import reweighted, weight

KV = ("self_attn.k_proj", "self_attn.v_proj")


@dataclass(frozen=True, slots=True)
class KVExpanded:
    """Every query head gets a copy of its keys and values for itself: the same function, a cache `kv_group` times as
    large."""

    def apply(self, model: Decoder) -> Decoder:
        kv_group = model.config.kv_group
        changed = _heads_changed(model, range(model.config.n_layers), lambda layer, w: w.repeat_interleave(kv_group, 0))
        return _with_kv_heads(reweighted(model, changed), model.config.n_heads)


@dataclass(frozen=True, slots=True)
class KVPooled:
    """All query heads of the layers share one key and value head: the mean of those there were, or in each layer the
    one of `heads`. Where every layer is pooled, the model has one KV head; else the one is copied to every place."""

    layers: tuple[int, ...]
    heads: tuple[int, ...] | None = None

    def apply(self, model: Decoder) -> Decoder:
        config = model.config
        whole = set(self.layers) == set(range(config.n_layers))
        copies = 1 if whole else config.n_kv_heads

        def pooled(layer: int, w: Tensor) -> Tensor:
            one = w.mean(0, keepdim=True) if self.heads is None else w[self.heads[layer], None]
            return one.repeat_interleave(copies, 0)

        changed = _heads_changed(model, self.layers, pooled)
        return _with_kv_heads(reweighted(model, changed), copies)


@dataclass(frozen=True, slots=True)
class KVRotated:
    """Every group of query heads gets the keys and values of the next group: all weights kept, dealt out wrongly."""

    layers: tuple[int, ...]

    def apply(self, model: Decoder) -> Decoder:
        return reweighted(model, _heads_changed(model, self.layers, lambda layer, w: w.roll(-1, 0)))


Method = Literal["mean", "first", "best"]


def pooled_by(model: Decoder, method: Method, layers: Sequence[int], ids: Sequence[int]) -> KVPooled:
    """Pooling to one head; the best ones are looked for on the text `ids`."""
    if method == "mean":
        return KVPooled(tuple(layers))
    n_layers = model.config.n_layers
    return KVPooled(tuple(layers), (0,) * n_layers if method == "first" else best_heads(model, ids))


def best_heads(model: Decoder, ids: Sequence[int]) -> tuple[int, ...]:
    """For each layer the KV head that, serving all query heads, comes nearest to what the layer's heads give."""
    config = model.config
    points = ("attn.hook_rot_q", "attn.hook_rot_k", "attn.hook_v")
    names = [tap(layer, point) for layer in range(config.n_layers) for point in points]
    acts = model.forward(torch.tensor([list(ids)]), taps=names, logits_to_keep=1).acts
    best = []
    for layer in range(config.n_layers):
        q, k, v = (torch.as_tensor(acts[tap(layer, point)]).transpose(1, 2) for point in points)
        window = config.windows[layer]
        z = fused_attention(q, k, v, window)
        errors = [
            float((fused_attention(q, k[:, n, None], v[:, n, None], window) - z).square().sum())
            for n in range(config.n_kv_heads)
        ]
        best.append(errors.index(min(errors)))
    return tuple(best)


def _heads_changed(model: Decoder, layers: Sequence[int], change: Callable[[int, Tensor], Tensor]) -> dict[str, Tensor]:
    """The key and value matrices (and biases, and the gains of a norm over all keys) of the layers, `change(layer, w)`
    done to their heads [kv_head, …]."""
    changed: dict[str, Tensor] = {}
    parts = (*KV, "self_attn.k_norm") if model.config.qk_norm == "all heads" else KV
    for layer in layers:
        for part in parts:
            for kind in ("weight", "bias"):
                name = f"model.layers.{layer}.{part}.{kind}"
                if name in model.weights:
                    w = weight(model, name) if part in KV and kind == "weight" else model.weights[name]
                    heads = w.reshape(model.config.n_kv_heads, model.config.d_head, *w.shape[1:])
                    changed[name] = change(layer, heads).flatten(0, 1)
    return changed


def _with_kv_heads(model: Decoder, n_kv_heads: int) -> Decoder:
    return replace(model, config=msgspec.structs.replace(model.config, n_kv_heads=n_kv_heads))
