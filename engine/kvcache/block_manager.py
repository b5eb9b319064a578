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
    """What one request holds: its tokens, the blocks of its table in order, how many positions are computed, and the
    hashes of its full blocks."""

    ids: list[int]
    table: list[int]
    computed: int = 0
    chain: list[bytes] = field(default_factory=list)


class BlockManager:
    """Hands out `blocks` blocks of `block_size` positions; `order` is the order of the free list at the start.

    A block nobody refers to is free, but what was in it can be found until it is handed out again.
    """

    def __init__(self, blocks: int, block_size: int, share: bool = True, order: Iterable[int] | None = None) -> None:
        self.block_size = block_size
        self.references = [0] * blocks
        self.free: OrderedDict[int, None] = OrderedDict.fromkeys(order if order is not None else range(blocks))
        self.holdings: dict[str, Holding] = {}
        self._share = share
        self._by_hash: dict[bytes, int] = {}
        self._hash_of: dict[int, bytes] = {}

    def begin(self, name: str, ids: Sequence[int]) -> int:
        """Gives a new request room for its tokens and says how many positions are there already, computed by others:
        whole blocks, and never the last token, whose logits are wanted. Raises OutOfBlocks."""
        chain = self._known(ids)
        shared = [self._by_hash[link] for link in chain]
        fresh = self._blocks_for(len(ids)) - len(shared)
        if fresh > len(self.free) - sum(not self.references[block] for block in shared):
            raise OutOfBlocks
        for block in shared:
            self._refer(block)
        table = shared + [self._take() for _ in range(fresh)]
        computed = len(shared) * self.block_size
        self.holdings[name] = Holding(list(ids), table, computed, chain)
        return computed

    def extend(self, name: str, ids: Sequence[int]) -> Copy | None:
        """Room for more tokens of a request. A block that others read as well is not written: the request gets one of
        its own, with a copy (copy-on-write). Raises OutOfBlocks."""
        held = self.holdings[name]
        split = bool(len(held.ids) % self.block_size) and self.references[held.table[-1]] > 1
        fresh = self._blocks_for(len(held.ids) + len(ids)) - len(held.table)
        if fresh + split > len(self.free):
            raise OutOfBlocks
        copy = None
        if split and ids:
            copy = Copy(held.table[-1], self._take())
            self._let_go(copy.source)
            held.table[-1] = copy.target
        held.ids += ids
        held.table += [self._take() for _ in range(fresh)]
        return copy

    def fork(self, name: str, child: str) -> None:
        """A second request that goes on from where `name` is, from the same blocks. Raises ValueError while positions
        are still to be computed, since both would write them."""
        held = self.holdings[name]
        if held.computed < len(held.ids):
            raise ValueError(f"{name} has {len(held.ids) - held.computed} positions to compute first")
        for block in held.table:
            self._refer(block)
        self.holdings[child] = Holding(list(held.ids), list(held.table), held.computed, list(held.chain))

    def computed(self, name: str, positions: int) -> None:
        """So many more positions have their keys and values; blocks that are full now can be found by others."""
        held = self.holdings[name]
        held.computed += positions
        for n in range(len(held.chain), held.computed // self.block_size if self._share else 0):
            tokens = held.ids[n * self.block_size : (n + 1) * self.block_size]
            if UNNAMED in tokens:
                return
            link = chained(held.chain[-1] if held.chain else b"", tokens)
            held.chain.append(link)
            if link not in self._by_hash:
                self._by_hash[link] = held.table[n]
                self._hash_of[held.table[n]] = link

    def release(self, name: str) -> None:
        """Gives the blocks back, the last one first, so that beginnings stay findable longest."""
        for block in reversed(self.holdings.pop(name).table):
            self._let_go(block)

    def owners(self) -> dict[int, list[str]]:
        """The requests that refer to each block in use."""
        found: dict[int, list[str]] = {}
        for name, held in self.holdings.items():
            for block in held.table:
                found.setdefault(block, []).append(name)
        return found

    def filled(self) -> dict[int, int]:
        """How many positions of each block in use hold a token."""
        found: dict[int, int] = {}
        for held in self.holdings.values():
            for n, block in enumerate(held.table):
                tokens = min(self.block_size, len(held.ids) - n * self.block_size)
                found[block] = max(found.get(block, 0), tokens)
        return found

    def _known(self, ids: Sequence[int]) -> list[bytes]:
        """The chain of the longest beginning of `ids` whose blocks can be found."""
        chain: list[bytes] = []
        for start in range(0, len(ids) - self.block_size, self.block_size):
            link = chained(chain[-1] if chain else b"", ids[start : start + self.block_size])
            if link not in self._by_hash:
                break
            chain.append(link)
        return chain

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.block_size)

    def _take(self) -> int:
        block, _ = self.free.popitem(last=False)
        if (link := self._hash_of.pop(block, None)) is not None:
            del self._by_hash[link]
        self.references[block] = 1
        return block

    def _refer(self, block: int) -> None:
        self.free.pop(block, None)
        self.references[block] += 1

    def _let_go(self, block: int) -> None:
        self.references[block] -= 1
        if not self.references[block]:
            self.free[block] = None


def chained(before: bytes, ids: Sequence[int]) -> bytes:
    """The hash of a full block: of its tokens and of everything before them."""
    return hashlib.blake2b(before + array("q", ids).tobytes(), digest_size=16).digest()
