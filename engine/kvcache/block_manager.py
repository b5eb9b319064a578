"""Who owns which block of a paged KV cache: block tables, a free list, reference counts, sharing. Torch-free.

Sources: Kwon et al. 2023 (PagedAttention). Blocks are found again by a chain of hashes over their tokens, so a block is
shared only where everything before it is the same too.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

UNNAMED = -1
"""The id of a token nobody named: its block cannot be found again."""


class OutOfBlocks(Exception):
    """Too few free blocks; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What is in block `source` has to be in block `target` before anything is written there."""

    source: int
    target: int


@dataclass(slots=True)
class Holding:
    """What one request holds: its tokens, its block table, how many positions are computed, and the hashes of its
    full blocks."""

    token_ids: list[int]
    block_table: list[int]
    num_computed: int = 0
    block_hashes: list[bytes] = field(default_factory=list)


class BlockManager:
    """Hands out `blocks` blocks of `block_size` positions; `order` is the order of the free list at the start.

    A block nobody refers to is free, but what was in it can be found until it is handed out again.
    """

    def __init__(self, blocks: int, block_size: int, share: bool = True, order: Iterable[int] | None = None) -> None:
        self.block_size = block_size
        self.ref_counts = [0] * blocks
        self.free_blocks: OrderedDict[int, None] = OrderedDict.fromkeys(order if order is not None else range(blocks))
        self.holdings: dict[str, Holding] = {}
        self._share = share
        self._by_hash: dict[bytes, int] = {}
        self._hash_of: dict[int, bytes] = {}

    def allocate(self, name: str, ids: Sequence[int]) -> int:
        """Gives a new request room for its tokens and says how many positions are there already, computed by others:
        whole blocks, and never the last token, whose logits are wanted. Raises OutOfBlocks."""
        block_hashes = self._findable(ids)
        shared = [self._by_hash[block_hash] for block_hash in block_hashes]
        fresh = self._blocks_for(len(ids)) - len(shared)
        if fresh > len(self.free_blocks) - sum(not self.ref_counts[block] for block in shared):
            raise OutOfBlocks
        for block in shared:
            self._share_block(block)
        block_table = shared + [self._allocate_block() for _ in range(fresh)]
        num_computed = len(shared) * self.block_size
        self.holdings[name] = Holding(list(ids), block_table, num_computed, block_hashes)
        return num_computed

    def append(self, name: str, ids: Sequence[int]) -> Copy | None:
        """Room for more tokens of a request. A block that others read as well is not written: the request gets one of
        its own, with a copy (copy-on-write). Raises OutOfBlocks."""
        held = self.holdings[name]
        split = bool(len(held.token_ids) % self.block_size) and self.ref_counts[held.block_table[-1]] > 1
        fresh = self._blocks_for(len(held.token_ids) + len(ids)) - len(held.block_table)
        if fresh + split > len(self.free_blocks):
            raise OutOfBlocks
        copy = None
        if split and ids:
            copy = Copy(held.block_table[-1], self._allocate_block())
            self._free_block(copy.source)
            held.block_table[-1] = copy.target
        held.token_ids += ids
        held.block_table += [self._allocate_block() for _ in range(fresh)]
        return copy

    def fork(self, name: str, child: str) -> None:
        """A second request that goes on from where `name` is, from the same blocks. Raises ValueError while positions
        are still to be computed, since both would write them."""
        held = self.holdings[name]
        if held.num_computed < len(held.token_ids):
            raise ValueError(f"{name} has {len(held.token_ids) - held.num_computed} positions to compute first")
        for block in held.block_table:
            self._share_block(block)
        self.holdings[child] = Holding(
            list(held.token_ids), list(held.block_table), held.num_computed, list(held.block_hashes)
        )

    def mark_computed(self, name: str, positions: int) -> None:
        """This many more positions have their keys and values; blocks that are full now can be found by others."""
        held = self.holdings[name]
        held.num_computed += positions
        for n in range(len(held.block_hashes), held.num_computed // self.block_size if self._share else 0):
            tokens = held.token_ids[n * self.block_size : (n + 1) * self.block_size]
            if UNNAMED in tokens:
                return
            block_hash = hash_block(held.block_hashes[-1] if held.block_hashes else b"", tokens)
            held.block_hashes.append(block_hash)
            if block_hash not in self._by_hash:
                self._by_hash[block_hash] = held.block_table[n]
                self._hash_of[held.block_table[n]] = block_hash

    def free(self, name: str) -> None:
        """Gives the blocks back, the last one first, so that beginnings stay findable longest."""
        for block in reversed(self.holdings.pop(name).block_table):
            self._free_block(block)

    def owners(self) -> dict[int, list[str]]:
        """The requests that refer to each block in use."""
        found: dict[int, list[str]] = {}
        for name, held in self.holdings.items():
            for block in held.block_table:
                found.setdefault(block, []).append(name)
        return found

    def filled(self) -> dict[int, int]:
        """How many positions of each block in use hold a token."""
        found: dict[int, int] = {}
        for held in self.holdings.values():
            for n, block in enumerate(held.block_table):
                tokens = min(self.block_size, len(held.token_ids) - n * self.block_size)
                found[block] = max(found.get(block, 0), tokens)
        return found

    def _findable(self, ids: Sequence[int]) -> list[bytes]:
        """The block hashes of the longest beginning of `ids` whose blocks can be found."""
        block_hashes: list[bytes] = []
        for start in range(0, len(ids) - self.block_size, self.block_size):
            block_hash = hash_block(block_hashes[-1] if block_hashes else b"", ids[start : start + self.block_size])
            if block_hash not in self._by_hash:
                break
            block_hashes.append(block_hash)
        return block_hashes

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.block_size)

    def _allocate_block(self) -> int:
        block, _ = self.free_blocks.popitem(last=False)
        if (block_hash := self._hash_of.pop(block, None)) is not None:
            del self._by_hash[block_hash]
        self.ref_counts[block] = 1
        return block

    def _share_block(self, block: int) -> None:
        self.free_blocks.pop(block, None)
        self.ref_counts[block] += 1

    def _free_block(self, block: int) -> None:
        self.ref_counts[block] -= 1
        if not self.ref_counts[block]:
            self.free_blocks[block] = None


def hash_block(before: bytes, ids: Sequence[int]) -> bytes:
    """The hash of a full block: of its tokens and of everything before them."""
    return hashlib.blake2b(before + array("q", ids).tobytes(), digest_size=16).digest()
