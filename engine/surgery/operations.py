"""Operations on a model, as values: each says which weights or activations it replaces, and touches nothing.

`operated(model, surgery)` is a model that shares every untouched tensor with the original. To undo, drop it.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol, cast

import torch
from torch import Tensor

from llm_holes.engine.model.config import Config
from llm_holes.engine.model.decoder import AttentionFn, Decoder, Hook, rotary, rotate
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.model.packed import PackedWeight
from llm_holes.engine.model.quantize import Granularity, int4_weight, int8_weight, quantize, stored_bytes
from llm_holes.engine.work import Work

Part = Literal["all", "layers", "attention", "ffn", "embedding", "none"]
PARTS: dict[Part, tuple[str, ...]] = {
    "all": ("self_attn.", "mlp.", "embed_tokens", "lm_head"),
    "layers": ("self_attn.", "mlp."),
    "attention": ("self_attn.",),
    "ffn": ("mlp.",),
    "embedding": ("embed_tokens", "lm_head"),
    "none": (),
}

CachePart = Literal["keys", "values", "both"]
KEYS, VALUES = ("attn.hook_rot_k",), ("attn.hook_v",)


class Operation(Protocol):
    """A change of a model, as a value."""

    def apply(self, model: Decoder) -> Decoder:
        """A model with this operation done, on top of what was done before."""


Surgery = Sequence[Operation]


def operated(model: Decoder, surgery: Surgery) -> Decoder:
    """The model with all these operations done, the first one first."""
    for operation in surgery:
        model = operation.apply(model)
    return model


def hooked(model: Decoder, name: str, hook: Hook) -> Decoder:
    """The model with the activation at the point `name` changed by `hook`, after the hooks it has there."""
    return replace(model, hooks={**model.hooks, name: (*model.hooks.get(name, ()), hook)})


def turned_further(model: Decoder, layer: int | None, point: str, by: int) -> Decoder:
    """The model that at this point of a layer (None: of every one) turns what is there by `by` places more."""
    for place in range(model.config.n_layers) if layer is None else (layer,):
        further = rotary(model.config.ropes[place], by, by + 1)
        model = hooked(model, tap(place, point), partial(rotate, rotation=further))
    return model


def reweighted(model: Decoder, changed: Mapping[str, Tensor]) -> Decoder:
    """The model with these matrices instead of its own, in whatever form it holds its own."""
    packed = {name: w for name, w in model.packed.items() if f"{name}.weight" not in changed}
    # never written to: a copy as a dict would make every matrix that is kept in fewer bits in fp32
    own = cast(MutableMapping[str, Tensor], model.weights)
    return replace(model, weights=ChainMap(dict(changed), own), packed=packed)


class Without(Mapping[str, Tensor]):
    """A model's tensors without those of these names; of the others none is made before it is asked for."""

    def __init__(self, all_: Mapping[str, Tensor], names: Collection[str]) -> None:
        self._all, self._names = all_, dict.fromkeys(name for name in all_ if name not in names)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def weight(model: Decoder, name: str) -> Tensor:
    """The matrix `name` [out, in] as the model multiplies with it."""
    packed = model.packed.get(name.removesuffix(".weight"))
    if packed is None:
        return model.weights[name]
    return packed(torch.eye(model.weights[name].shape[1])).T.contiguous()


@dataclass(frozen=True, slots=True)
class HeadOff:
    """Silences one query head where it can be told from the others: at the input of the output projection."""

    layer: int
    head: int

    def apply(self, model: Decoder) -> Decoder:
        def silence(z: Tensor) -> Tensor:
            z = z.clone()
            z[:, :, self.head] = 0
            return z

        return hooked(model, tap(self.layer, "attn.hook_z"), silence)


@dataclass(frozen=True, slots=True)
class AttentionReplaced:
    """These layers mix their positions by `attention_fn` instead of scores, softmax and weighted sum."""

    attention_fn: AttentionFn
    layers: tuple[int, ...]

    def apply(self, model: Decoder) -> Decoder:
        return replace(model, attention_fns={**model.attention_fns, **dict.fromkeys(self.layers, self.attention_fn)})


@dataclass(frozen=True, slots=True)
class QuantizedWeights:
    """Rounds the matrices of `part`, or only those in `names`, to `bits` and uses the rounded values, in fp32
    arithmetic."""

    bits: int
    granularity: Granularity = "channel"
    group_size: int = 32
    symmetric: bool = True
    part: Part = "all"
    names: tuple[str, ...] = ()

    def apply(self, model: Decoder) -> Decoder:
        rounded: dict[str, Tensor] = {}
        for name in one_by_one(model, self.names or matrices(model, self.part)):
            q = quantize(weight(model, name), self.bits, self.granularity, self.group_size, self.symmetric)
            rounded[name] = q.dequantized()
        return reweighted(model, rounded)

    def stored_bytes(self, shape: torch.Size) -> int:
        """Bytes of a matrix of this shape as codes and scales."""
        blocks = block_count(shape, self.granularity, self.group_size)
        return stored_bytes(shape.numel(), blocks, self.bits, self.symmetric)


@dataclass(frozen=True, slots=True)
class QuantizedKV:
    """Rounds each head's key (after RoPE) and value vector to `bits`, symmetric, as a quantized KV cache would; or only
    the keys or the values. Each vector has a scale of its own, unless `largest` says for each point the largest
    magnitude of every channel, [kv_head, d_head]: then a channel has one for all tokens, and what is larger is cut."""

    bits: int
    what: CachePart = "both"
    largest: Mapping[str, Tensor] | None = None

    def apply(self, model: Decoder) -> Decoder:
        for name in cache_points(model.config, self.what):
            model = hooked(model, name, self._per_vector if self.largest is None else self._per_channel(name))
        return model

    def _per_vector(self, x: Tensor) -> Tensor:
        return quantize(x.reshape(-1, x.shape[-1]), self.bits, "channel").dequantized().view(x.shape)

    def _per_channel(self, name: str) -> Hook:
        top = 2 ** (self.bits - 1) - 1
        scale = (self.largest or {})[name].clamp_min(1e-12) / top
        return lambda x: (x / scale).round().clamp(-top, top) * scale

    def stored_bytes(self, config: Config) -> int:
        """Bytes of one token's keys and values as codes, with a scale for each vector that has one; what is not rounded
        stays in fp32."""
        vectors = config.n_layers * config.n_kv_heads
        parts = 2 if self.what == "both" else 1
        scales = parts * vectors if self.largest is None else 0
        rounded = stored_bytes(parts * vectors * config.d_head, scales, self.bits, symmetric=True)
        return rounded + 4 * (2 - parts) * vectors * config.d_head


def cache_points(config: Config, what: CachePart) -> list[str]:
    """Where keys and values pass by on their way into the cache."""
    points = {"keys": KEYS, "values": VALUES, "both": (*KEYS, *VALUES)}[what]
    return [tap(layer, point) for layer in range(config.n_layers) for point in points]


def largest_of_channels(model: Decoder, ids: Sequence[int], what: CachePart) -> dict[str, Tensor]:
    """The largest magnitude of each channel of keys and values on this text, [kv_head, d_head] by point."""
    taps = cache_points(model.config, what)
    acts = model.forward(torch.tensor([list(ids)]), taps=taps, logits_to_keep=1).acts
    return {name: torch.as_tensor(acts[name][0]).abs().amax(0) for name in taps}


@dataclass(frozen=True, slots=True)
class PackedWeights:
    """Stores the matrices of `part` in 8 bits per channel or 4 bits per group of 32 and multiplies them packed."""

    bits: Literal[4, 8]
    part: Part = "all"

    def apply(self, model: Decoder) -> Decoder:
        pack = int8_weight if self.bits == 8 else int4_weight
        packed: dict[str, PackedWeight] = dict(model.packed)
        for name in one_by_one(model, matrices(model, self.part)):
            packed[name.removesuffix(".weight")] = pack(weight(model, name))
        return replace(model, packed=packed)


def block_count(shape: torch.Size, granularity: Granularity, group_size: int) -> int:
    """How many scales a matrix of this shape has."""
    return {"tensor": 1, "channel": shape[0], "group": shape.numel() // group_size}[granularity]


def matrices(model: Decoder, part: Part) -> list[str]:
    """The names of the two-dimensional weights of `part`."""
    return [n for n, w in model.weights.items() if w.dim() == 2 and any(p in n for p in PARTS[part])]


def one_by_one(model: Decoder, names: Sequence[str]) -> Iterator[str]:
    """These weights, each told when it is its turn; none any more once the run is not wanted, which the next forward
    pass will raise."""
    for number, name in enumerate(names, 1):
        if model.is_cancelled():
            return
        model.tell(Work("matrix", number, len(names)))
        yield name


def weight_bytes(model: Decoder, names: Sequence[str]) -> int:
    """Bytes of these matrices as the model holds them."""
    total = 0
    for name in names:
        packed = model.packed.get(name.removesuffix(".weight"))
        total += packed.nbytes if packed is not None else model.weights[name].nbytes
    return total
