"""Random streams of requests through both ways of giving memory out: all are answered, and nothing stays behind."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_holes.engine.kvcache.block_manager import BlockManager
from llm_holes.engine.kvcache.scheduler import ContiguousAllocator, PagedAllocator, Request, Scheduler, served
from tests.support.imports import MODEL_LIBRARIES, loaded_by

SIZE, BLOCKS, RESERVE = 4, 10, 20
TOKENS = st.lists(st.integers(0, 1), min_size=1, max_size=RESERVE // 2).map(tuple)
ANSWERS = st.lists(TOKENS, min_size=1, max_size=2).map(tuple)
REQUESTS = st.lists(st.tuples(st.integers(0, 20), TOKENS, ANSWERS), max_size=12)
STREAMS = REQUESTS.map(lambda found: [Request(f"r{n}-", *parts) for n, parts in enumerate(found)])


def paged(share: bool = True) -> PagedAllocator:
    return PagedAllocator(BlockManager(BLOCKS, SIZE, share))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(STREAMS, st.booleans())
def test_every_request_of_a_stream_is_answered_and_every_block_comes_back(stream: list[Request], share: bool) -> None:
    allocator = paged(share)
    scheduler = Scheduler(allocator, stream)
    while not scheduler.done:
        scheduler.advance()
        held = [block for holding in allocator.manager.holdings.values() for block in holding.block_table]
        assert len(set(held)) + len(allocator.manager.free_blocks) == BLOCKS
        texts = [name for place in scheduler.running for name in place.texts]
        assert sorted(texts) == sorted(allocator.manager.holdings)
        assert scheduler.finished + len(scheduler.running) + len(scheduler.waiting) <= len(stream)
        assert scheduler.step < 2000
    assert scheduler.finished == len(stream)
    assert len(allocator.manager.free_blocks) == BLOCKS
    assert scheduler.tokens >= sum(len(answer) for request in stream for answer in request.answers)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(STREAMS)
def test_stretches_never_overlap_and_are_given_back(stream: list[Request]) -> None:
    allocator = ContiguousAllocator(SIZE * BLOCKS, RESERVE)
    scheduler = Scheduler(allocator, stream)
    while not scheduler.done:
        scheduler.advance()
        starts = sorted(allocator.starts.values())
        assert all(later - start >= RESERVE for start, later in pairwise(starts))
        assert all(start + RESERVE <= SIZE * BLOCKS for start in starts)
    assert scheduler.finished == len(stream)
    assert scheduler.preemptions == 0
    assert not allocator.starts


def stream(count: int, prompt: int = 8, answer: int = 4) -> list[Request]:
    return [Request(chr(65 + n), 0, tuple(range(n, n + prompt)), (tuple(range(answer)),)) for n in range(count)]


def test_short_texts_leave_most_of_a_reservation_empty_and_little_of_a_block() -> None:
    whole, pieces = Scheduler(ContiguousAllocator(40, 20), stream(6)), Scheduler(paged(), stream(6))
    served(whole, 100)
    served(pieces, 100)
    assert (whole.most_at_once, pieces.most_at_once) == (2, 5)
    assert whole.waste > 0.4
    assert pieces.waste < 0.3
    assert whole.step > pieces.step


def test_the_youngest_makes_room_and_is_answered_later() -> None:
    allocator = paged(share=False)
    scheduler = Scheduler(allocator, stream(5, prompt=8, answer=12))
    served(scheduler, 500)
    assert scheduler.preemptions > 0
    assert scheduler.finished == 5
    assert scheduler.tokens > 5 * 12
    assert allocator.computed_again == scheduler.preemptions * 8, "nothing is shared: all of each prompt"


def test_two_answers_share_their_prompt_until_they_differ() -> None:
    allocator = paged()
    scheduler = Scheduler(allocator, [Request("A", 0, (1, 2, 3, 4, 5), ((6, 7), (8, 9, 10)))])
    scheduler.advance()
    assert allocator.manager.holdings["A"].block_table == allocator.manager.holdings["A2"].block_table
    assert allocator.blocks_shared == 2
    served(scheduler, 10)
    assert allocator.copies == 1
    assert scheduler.step == 4


def test_serving_loads_no_model_library() -> None:
    assert not loaded_by("import llm_holes.engine.kvcache.scheduler") & MODEL_LIBRARIES
