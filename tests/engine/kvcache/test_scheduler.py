"""Random streams of requests through both ways of giving memory out: all are answered, and nothing stays behind."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_holes.engine.kvcache.block_manager import BlockManager
from llm_holes.engine.kvcache.scheduler import ContiguousRoom, PagedRoom, Request, Server, served
from tests.support.imports import MODEL_LIBRARIES, loaded_by

SIZE, BLOCKS, RESERVE = 4, 10, 20
TOKENS = st.lists(st.integers(0, 1), min_size=1, max_size=RESERVE // 2).map(tuple)
ANSWERS = st.lists(TOKENS, min_size=1, max_size=2).map(tuple)
REQUESTS = st.lists(st.tuples(st.integers(0, 20), TOKENS, ANSWERS), max_size=12)
STREAMS = REQUESTS.map(lambda found: [Request(f"r{n}-", *parts) for n, parts in enumerate(found)])


def paged(share: bool = True) -> PagedRoom:
    return PagedRoom(BlockManager(BLOCKS, SIZE, share))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(STREAMS, st.booleans())
def test_every_request_of_a_stream_is_answered_and_every_block_comes_back(stream: list[Request], share: bool) -> None:
    room = paged(share)
    server = Server(room, stream)
    while not server.done:
        server.advance()
        held = [block for holding in room.manager.holdings.values() for block in holding.table]
        assert len(set(held)) + len(room.manager.free) == BLOCKS
        texts = [name for place in server.running for name in place.texts]
        assert sorted(texts) == sorted(room.manager.holdings)
        assert server.finished + len(server.running) + len(server.waiting) <= len(stream)
        assert server.step < 2000
    assert server.finished == len(stream)
    assert len(room.manager.free) == BLOCKS
    assert server.tokens >= sum(len(answer) for request in stream for answer in request.answers)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(STREAMS)
def test_stretches_never_overlap_and_are_given_back(stream: list[Request]) -> None:
    room = ContiguousRoom(SIZE * BLOCKS, RESERVE)
    server = Server(room, stream)
    while not server.done:
        server.advance()
        starts = sorted(room.starts.values())
        assert all(later - start >= RESERVE for start, later in pairwise(starts))
        assert all(start + RESERVE <= SIZE * BLOCKS for start in starts)
    assert server.finished == len(stream)
    assert server.preemptions == 0
    assert not room.starts


def stream(count: int, prompt: int = 8, answer: int = 4) -> list[Request]:
    return [Request(chr(65 + n), 0, tuple(range(n, n + prompt)), (tuple(range(answer)),)) for n in range(count)]


def test_short_texts_leave_most_of_a_reservation_empty_and_little_of_a_block() -> None:
    whole, pieces = Server(ContiguousRoom(40, 20), stream(6)), Server(paged(), stream(6))
    served(whole, 100)
    served(pieces, 100)
    assert (whole.most_at_once, pieces.most_at_once) == (2, 5)
    assert whole.waste > 0.4
    assert pieces.waste < 0.3
    assert whole.step > pieces.step


def test_the_youngest_makes_room_and_is_answered_later() -> None:
    server = Server(paged(), stream(5, prompt=8, answer=12))
    served(server, 500)
    assert server.preemptions > 0
    assert server.finished == 5


def test_two_answers_share_their_prompt_until_they_differ() -> None:
    room = paged()
    server = Server(room, [Request("A", 0, (1, 2, 3, 4, 5), ((6, 7), (8, 9, 10)))])
    server.advance()
    assert room.manager.holdings["A"].table == room.manager.holdings["A2"].table
    assert room.blocks_shared == 2
    served(server, 10)
    assert room.copies == 1
    assert server.step == 4


def test_serving_loads_no_model_library() -> None:
    assert not loaded_by("import llm_holes.engine.kvcache.scheduler") & MODEL_LIBRARIES
