"""Keys and values in blocks anywhere in one memory, read through a block table (Kwon et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llm_holes.engine.kvcache.block_manager import UNNAMED, BlockManager, Copy
from llm_holes.engine.model.config import Config


class PagedMemory:
    """The blocks of all requests, for each layer [2, block, block_size, kv_head, d_head]."""

    def __init__(self, config: Config, manager: BlockManager) -> None:
        self.manager = manager
        shape = (2, len(manager.ref_counts), manager.block_size, config.n_kv_heads, config.d_head)
        self.layers = [torch.empty(shape) for _ in range(config.n_layers)]

    def allocate(self, name: str, ids: Sequence[int]) -> PagedCache:
        """The cache of a new request, with room for `ids`. What others computed of them is in it already: feed the
        model ids[cache.length:]. Raises OutOfBlocks."""
        self.manager.allocate(name, ids)
        return PagedCache(self, name)

    def copy(self, copy: Copy) -> None:
        for layer in self.layers:
            layer[:, copy.target] = layer[:, copy.source]


class PagedCache:
    """What one request sees of the memory; a text at a time (batch 1)."""

    def __init__(self, memory: PagedMemory, name: str) -> None:
        self._memory, self.name = memory, name

    @property
    def length(self) -> int:
        return self._memory.manager.holdings[self.name].num_computed

    @property
    def nbytes(self) -> int:
        """Bytes of the keys and values of its positions, those it shares included."""
        layers = self._memory.layers
        return sum(layer[:, 0, 0].nbytes for layer in layers) * self.length

    @property
    def block_table(self) -> tuple[int, ...]:
        return tuple(self._memory.manager.holdings[self.name].block_table)

    def append_slots(self, ids: Sequence[int]) -> None:
        """Room for these tokens; what is to be shared later has to be named here. Raises OutOfBlocks."""
        if copy := self._memory.manager.append(self.name, ids):
            self._memory.copy(copy)

    def fork(self, name: str) -> PagedCache:
        """The cache of a second request that goes on from here."""
        self._memory.manager.fork(self.name, name)
        return PagedCache(self._memory, name)

    def free(self) -> None:
        self._memory.manager.free(self.name)

    def append(self, layer: int, k: Tensor, v: Tensor, q: Tensor | None = None) -> tuple[Tensor, Tensor]:
        start, end = self.length, self.length + k.shape[2]
        self._make_room(end)
        store, size = self._memory.layers[layer], self._memory.manager.block_size
        block_table = torch.tensor(self.block_table)
        places = torch.arange(start, end)
        store[:, block_table[places // size], places % size] = torch.stack((k[0], v[0])).transpose(1, 2)
        read = store[:, block_table[: -(-end // size)]].flatten(1, 2)[:, :end].transpose(1, 2)
        return read[0, None], read[1, None]

    def advance(self, positions: int) -> None:
        self._memory.manager.mark_computed(self.name, positions)

    def _make_room(self, end: int) -> None:
        missing = end - len(self._memory.manager.holdings[self.name].token_ids)
        if missing > 0:
            self.append_slots([UNNAMED] * missing)
