"""Requests come, grow, split and go: no block is lost, none is in two hands, and each reads back what it wrote."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_holes.engine.kvcache.block_manager import UNNAMED, BlockManager, Copy, OutOfBlocks

SIZE = 4
BLOCKS = 12
IDS = st.lists(st.integers(0, 1), max_size=3 * SIZE)
"""Two kinds of tokens, so that beginnings often agree."""


class Requests(RuleBasedStateMachine):
    """The manager beside a memory that is really written, block by block, as its tables say."""

    def __init__(self) -> None:
        super().__init__()
        self.manager = BlockManager(BLOCKS, SIZE)
        self.memory: dict[tuple[int, int], int] = {}
        self.texts: dict[str, list[int]] = {}
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return str(self.count)

    def write(self, name: str, start: int) -> None:
        """Computes what the request has room for, from `start` on."""
        for place in range(start, len(self.texts[name])):
            block = self.manager.holdings[name].block_table[place // SIZE]
            assert self.manager.ref_counts[block] == 1, "written while others read it"
            self.memory[block, place % SIZE] = self.texts[name][place]
        self.manager.mark_computed(name, len(self.texts[name]) - start)

    @rule(ids=IDS.filter(bool))
    def allocate(self, ids: list[int]) -> None:
        name, before = self.name(), str(vars(self.manager))
        try:
            start = self.manager.allocate(name, ids)
        except OutOfBlocks:
            assert str(vars(self.manager)) == before
            return
        assert start < len(ids)
        self.texts[name] = list(ids)
        self.write(name, start)

    @precondition(lambda self: self.texts)
    @rule(data=st.data(), ids=IDS)
    def append(self, data: st.DataObject, ids: list[int]) -> None:
        name, before = data.draw(st.sampled_from(sorted(self.texts))), str(vars(self.manager))
        try:
            copy = self.manager.append(name, ids)
        except OutOfBlocks:
            assert str(vars(self.manager)) == before
            return
        if copy:
            for offset in range(SIZE):
                if (copy.source, offset) in self.memory:
                    self.memory[copy.target, offset] = self.memory[copy.source, offset]
        start = len(self.texts[name])
        self.texts[name] += ids
        self.write(name, start)

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        name, child = data.draw(st.sampled_from(sorted(self.texts))), self.name()
        self.manager.fork(name, child)
        self.texts[child] = list(self.texts[name])

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.texts)))
        self.manager.free(name)
        del self.texts[name]

    @invariant()
    def every_block_is_free_or_held(self) -> None:
        held = [block for holding in self.manager.holdings.values() for block in holding.block_table]
        assert sorted({*held, *self.manager.free_blocks}) == list(range(BLOCKS))
        assert len(set(held)) + len(self.manager.free_blocks) == BLOCKS
        assert self.manager.ref_counts == [held.count(block) for block in range(BLOCKS)]

    @invariant()
    def everyone_reads_what_they_wrote_in_as_few_blocks_as_can_be(self) -> None:
        for name, text in self.texts.items():
            table = self.manager.holdings[name].block_table
            assert len(table) == -(-len(text) // SIZE)
            assert [self.memory[table[n // SIZE], n % SIZE] for n in range(len(text))] == text


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)


def test_a_common_beginning_is_shared_up_to_the_last_whole_block() -> None:
    manager = BlockManager(9, SIZE)
    manager.allocate("a", [1, 2, 3, 4, 5, 6, 7, 8, 9])
    manager.mark_computed("a", 9)
    assert manager.allocate("b", [1, 2, 3, 4, 5, 6, 7, 8, 10]) == 8
    assert manager.allocate("c", [1, 2, 3, 4, 0, 6, 7, 8, 9]) == 4
    assert manager.allocate("d", [0, 2, 3, 4, 5, 6, 7, 8, 9]) == 0
    assert manager.ref_counts[manager.holdings["a"].block_table[0]] == 3
    assert manager.filled()[manager.holdings["a"].block_table[2]] == 1


def test_what_is_not_computed_yet_is_not_shared_and_the_last_token_never() -> None:
    manager = BlockManager(8, SIZE)
    manager.allocate("a", [1, 2, 3, 4])
    assert manager.allocate("b", [1, 2, 3, 4, 5]) == 0
    manager.mark_computed("a", 4)
    assert manager.allocate("c", [1, 2, 3, 4, 5]) == 4
    assert manager.allocate("d", [1, 2, 3, 4]) == 0


def test_a_beginning_is_found_after_its_request_has_gone_until_the_block_is_needed() -> None:
    manager = BlockManager(3, SIZE)
    manager.allocate("a", [1, 2, 3, 4, 5])
    manager.mark_computed("a", 5)
    manager.free("a")
    assert len(manager.free_blocks) == 3
    assert manager.allocate("b", [1, 2, 3, 4, 6]) == 4
    manager.free("b")
    manager.allocate("c", [7] * 12)
    manager.free("c")
    assert manager.allocate("d", [1, 2, 3, 4, 6]) == 0


def test_a_split_block_is_copied_once_and_by_the_one_who_writes() -> None:
    manager = BlockManager(8, SIZE)
    manager.allocate("a", [1, 2, 3, 4, 5])
    manager.mark_computed("a", 5)
    manager.fork("a", "b")
    shared = manager.holdings["a"].block_table[-1]
    copy = manager.append("b", [6])
    assert copy == Copy(shared, manager.holdings["b"].block_table[-1])
    assert manager.holdings["a"].block_table[-1] == shared
    assert manager.append("a", [7]) is None
    with pytest.raises(ValueError, match="1 positions to compute first"):
        manager.fork("a", "c")


def test_unnamed_tokens_and_a_manager_that_does_not_share() -> None:
    for share, ids in ((True, [UNNAMED] * 5), (False, [1] * 5)):
        manager = BlockManager(8, SIZE, share)
        manager.allocate("a", ids)
        manager.mark_computed("a", 5)
        assert manager.allocate("b", ids) == 0


def test_the_free_list_is_taken_in_the_order_given() -> None:
    manager = BlockManager(4, SIZE, order=[2, 0, 3, 1])
    manager.allocate("a", [1] * 12)
    assert manager.holdings["a"].block_table == [2, 0, 3]
    with pytest.raises(OutOfBlocks):
        manager.allocate("b", [1] * 8)
