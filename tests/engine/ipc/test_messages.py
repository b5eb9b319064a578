"""The messages survive the wire, and nothing else does."""

from __future__ import annotations

import contextlib
import tracemalloc

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_holes.engine.frames import (
    Array,
    Bars,
    Curve,
    Diff,
    Frame,
    Heatmap,
    Series,
    Table,
    Text,
    Token,
    Tokens,
    Value,
    View,
)
from llm_holes.engine.ipc import messages
from llm_holes.engine.ipc.messages import (
    HEADER,
    MAX_MESSAGE,
    Cancel,
    Framed,
    ProtocolError,
    Run,
    Status,
    body_length,
    decode_reply,
    decode_request,
    pack,
)

STEADY = settings(derandomize=True, max_examples=60, deadline=None)

INT64 = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.floats(allow_nan=False)
NAMES = st.text(max_size=8)
SCALARS = st.booleans() | INT64 | NUMBERS | NAMES
VALUES: st.SearchStrategy[Value] = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(NAMES, SCALARS, max_size=3)


def many(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(strategy, max_size=4).map(tuple)


ARRAYS = st.builds(
    lambda dtype, shape: Array.of(np.arange(np.prod(shape), dtype="i8").reshape(shape) % 100, dtype),
    st.sampled_from(["f4", "f8", "i4", "i8", "u1"]),
    st.lists(st.integers(0, 4), max_size=4).map(tuple),
)
TOKENS = many(st.builds(Token, INT64, st.binary(max_size=6), NAMES))
SERIES = many(st.builds(Series, NAMES, many(NUMBERS), many(NUMBERS), many(NUMBERS), many(NUMBERS)))
VIEWS: st.SearchStrategy[View] = (
    st.builds(Tokens, NAMES, TOKENS, many(NUMBERS), NAMES, NAMES)
    | st.builds(Heatmap, NAMES, ARRAYS, row_names=many(NAMES), cursor=st.none() | st.tuples(INT64, INT64))
    | st.builds(Bars, NAMES, many(NAMES), many(NUMBERS), marked=st.none() | INT64)
    | st.builds(Curve, NAMES, SERIES, log_y=st.booleans())
    | st.builds(Table, NAMES, many(NAMES), many(many(SCALARS)))
    | st.builds(Text, NAMES, NAMES)
    | st.builds(Diff, NAMES, NAMES, NAMES)
)
FRAMES = st.builds(
    Frame, NAMES, many(VIEWS), st.dictionaries(NAMES, VALUES, max_size=3), progress=st.none() | st.floats(0, 1)
)


def body(message: messages.Request | messages.Reply) -> bytes:
    packed = pack(message)
    assert body_length(packed[: HEADER.size]) == len(packed) - HEADER.size
    return packed[HEADER.size :]


@given(INT64, FRAMES)
@STEADY
def test_frames_arrive_as_they_were_sent(number: int, frame: Frame) -> None:
    assert decode_reply(body(Framed(number, frame))) == Framed(number, frame)


@given(INT64, NAMES, st.dictionaries(NAMES, VALUES, max_size=3))
@STEADY
def test_requests_arrive_as_they_were_sent(number: int, lesson: str, given_settings: dict[str, Value]) -> None:
    assert decode_request(body(Run(number, lesson, given_settings))) == Run(number, lesson, given_settings)


@given(st.binary(max_size=300))
@settings(STEADY, max_examples=300)
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    for decode in (decode_request, decode_reply):
        try:
            message: object = decode(data)
        except ProtocolError as error:
            message = error
        assert isinstance(message, messages.Request | messages.Reply | ProtocolError)
        assert "\n" not in str(message)


@given(FRAMES, st.data())
@settings(STEADY, max_examples=100)
def test_a_damaged_message_is_a_message_or_a_protocol_error(frame: Frame, data: st.DataObject) -> None:
    whole = bytearray(body(Framed(1, frame)))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ProtocolError):
        decode_reply(bytes(whole))


@given(FRAMES, st.data())
@STEADY
def test_a_shortened_message_is_a_protocol_error(frame: Frame, data: st.DataObject) -> None:
    whole = body(Framed(1, frame))
    with pytest.raises(ProtocolError):
        decode_reply(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_a_deeply_nested_message_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        decode_request(b"\x91" * 100_000)


@pytest.mark.parametrize("value", ["\ud800", 2**64])
def test_what_cannot_be_encoded_is_a_protocol_error(value: Value) -> None:
    with pytest.raises(ProtocolError, match="encoded"):
        pack(Run(1, "tokens", {"text": value}))


@pytest.mark.parametrize("count", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"])
def test_a_count_larger_than_the_message_takes_no_memory(count: bytes) -> None:
    """An array, a map and a byte string that announce four billion items."""
    whole = body(Run(1, "tokens", {}))
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        decode_request(whole.replace(b"\xa6tokens", count))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("length", [MAX_MESSAGE + 1, 2**32 - 1])
def test_a_length_beyond_the_limit_is_refused_before_anything_is_read(length: int) -> None:
    with pytest.raises(ProtocolError, match="limit"):
        body_length(HEADER.pack(length))


def test_a_message_beyond_the_limit_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="limit"):
        pack(Framed(1, Frame("too much", (Text("", "x" * MAX_MESSAGE),))))


@pytest.mark.parametrize(
    "message",
    [
        {"type": "run", "id": 1, "lesson": "tokens"},
        {"type": "run", "id": "1", "lesson": "tokens", "settings": {}},
        {"type": "run", "id": 1, "lesson": "tokens", "settings": {"text": None}},
        {"type": "exec", "id": 1},
        {"id": 1},
        [1, 2],
    ],
)
def test_requests_are_decoded_strictly(message: object) -> None:
    with pytest.raises(ProtocolError):
        decode_request(msgspec.msgpack.encode(message))


def test_a_reply_is_no_request() -> None:
    with pytest.raises(ProtocolError):
        decode_request(body(Status("loading", "")))
    with pytest.raises(ProtocolError):
        decode_reply(body(Cancel(1)))


def test_an_array_whose_shape_and_bytes_disagree_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="reshape"):
        Array("f4", (2, 3), b"\0" * 20).numpy()


@STEADY
@given(ARRAYS)
def test_an_array_as_lists_is_what_numpy_makes_of_it(array: Array) -> None:
    assert array.tolist() == array.numpy().tolist()


def test_lists_of_an_array_whose_shape_and_bytes_disagree_are_refused() -> None:
    for shape, size in (((2, 3), 20), ((3,), 13)):
        with pytest.raises((ValueError, TypeError)):
            Array("f4", shape, b"\0" * size).tolist()
