"""A cache that keeps keys and values as codes of 8 or 4 bits."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from llm_holes.engine.model.config import Config
from llm_holes.engine.model.quantize import quantize


class QuantizedCache:
    """Keeps each head's key (rotated) and value as codes with a 16-bit scale and offset per `group_size` numbers; two
    4-bit codes share a byte. A layer is unpacked when it is read, so at any time only one is held in full.

    The codes run from a group's smallest to its largest value. Raises ValueError where groups do not divide d_head.
    """

    def __init__(
        self, config: Config, bits: Literal[8, 4], group_size: int = 32, batch: int = 1, capacity: int = 256
    ) -> None:
        if config.d_head % group_size or group_size % 2:
            raise ValueError(f"groups of {group_size} do not divide keys of {config.d_head} numbers evenly")
        self.length = 0
        self._bits, self._group_size = bits, group_size
        shape, layers = (2, batch, config.n_kv_heads, capacity), range(config.n_layers)
        code_bytes, groups = config.d_head * bits // 8, config.d_head // group_size
        self._codes = [torch.empty(*shape, code_bytes, dtype=torch.uint8) for _ in layers]
        self._scales = [torch.empty(*shape, groups, 2, dtype=torch.half) for _ in layers]

    @property
    def nbytes(self) -> int:
        stores = (*self._codes, *self._scales)
        return sum(store[:, :, :, : self.length].numel() * store.element_size() for store in stores)

    def append(self, layer: int, k: Tensor, v: Tensor, q: Tensor | None = None) -> tuple[Tensor, Tensor]:
        start, end = self.length, self.length + k.shape[2]
        for stores in (self._codes, self._scales):
            stores[layer] = _with_room(stores[layer], start, end)
        codes, scales = self._packed(torch.stack((k, v)))
        self._codes[layer][:, :, :, start:end] = codes
        self._scales[layer][:, :, :, start:end] = scales
        read = self._unpacked(self._codes[layer][:, :, :, :end], self._scales[layer][:, :, :, :end])
        return read[0], read[1]

    def advance(self, positions: int) -> None:
        self.length += positions

    def _packed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes [..., d_head · bits / 8] and [..., groups, 2] of scale and smallest value."""
        q = quantize(x, self._bits, "group", self._group_size, symmetric=False)
        codes = q.codes.to(torch.uint8).view(x.shape)
        if self._bits == 4:
            codes = codes[..., ::2] << 4 | codes[..., 1::2]
        scales = torch.cat((q.scale, -q.zero_point * q.scale), -1).view(*x.shape[:-1], -1, 2)
        return codes, scales.half()

    def _unpacked(self, codes: Tensor, scales: Tensor) -> Tensor:
        if self._bits == 4:
            codes = torch.stack((codes >> 4, codes & 15), -1).flatten(-2)
        grouped = codes.float().view(*scales.shape[:-1], self._group_size)
        scale, smallest = scales.float().unsqueeze(-2).unbind(-1)
        x: Tensor = grouped * scale + smallest
        return x.flatten(-2)


def _with_room(store: Tensor, held: int, end: int) -> Tensor:
    """The store, or one twice as long with what is held, if `end` positions do not fit."""
    if end <= store.shape[3]:
        return store
    wider = store.new_empty(*store.shape[:3], max(end, 2 * store.shape[3]), *store.shape[4:])
    wider[:, :, :, :held] = store[:, :, :, :held]
    return wider
