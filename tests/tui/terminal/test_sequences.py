"""What a terminal sends is cut the same way wherever its pieces end, and nothing is held for ever."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_holes.tui.terminal.sequences import LONGEST_PASTE, Cutter, Pasted, Sequence, Text, Token
from tests.support.clock import growth

PIECES = st.sampled_from([
    b"a", "é今".encode(), b"\xff", b"\xc3", b"\x1b", b"\x1b[A", b"\x1b[1;5C", b"\x1bOP", b"\x1bx", b"\x1b[M",
    b"\x1b[<0;1;2M", b"\x1b]0;title", b"\x07", b"\x1b\\", b"\x1bP", b"\x1b[200~", b"\x1b[201~", b"\x1b[" + b"1" * 90,
    b"m", b"\x9b", b"\x00",
])  # fmt: skip
STREAM = st.lists(PIECES | st.binary(max_size=4), max_size=20).map(b"".join)


def cut(*pieces: bytes) -> list[Token]:
    cutter = Cutter()
    return _joined([token for piece in pieces for token in cutter.feed(piece)] + list(cutter.pause()))


def _joined(tokens: Iterable[Token]) -> list[Token]:
    """Text that came in pieces as one."""
    joined: list[Token] = []
    for token in tokens:
        if isinstance(token, Text) and joined and isinstance(before := joined[-1], Text):
            joined[-1] = Text(before.text + token.text)
        else:
            joined.append(token)
    return joined


@pytest.mark.parametrize(
    ("data", "tokens"),
    [
        (b"aq", [Text("aq")]),
        (b"\xffq", [Text("\ufffdq")]),
        (b"\xe9q", [Text("\ufffdq")]),
        (b"\xc3\x1b[A", [Text("\ufffd"), Sequence("\x1b[A")]),
        (b"\x1b", [Sequence("\x1b")]),
        (b"\x1b\x1b[A", [Sequence("\x1b"), Sequence("\x1b[A")]),
        ("\x1bé".encode(), [Sequence("\x1bé")]),
        (b"\x1b[", [Sequence("\x1b[")]),
        (b"\x1bOq", [Sequence("\x1bOq")]),
        (b"\x1b[[Aq", [Sequence("\x1b[[A"), Text("q")]),
        (b"\x1b[M \xf0\xe9q", [Text("q")]),
        (b"\x1b[<0;3;4Mq", [Sequence("\x1b[<0;3;4M"), Text("q")]),
        (b"\x1b]52;c;QUFB\x07q", [Text("q")]),
        (b"\x1bP1$r\x1b\\q", [Text("q")]),
        (b"\x1b]52;c;\x11", [Text("\x11")]),
        (b"\x1b]52;c;\x1b[A", [Sequence("\x1b[A")]),
        (b"\x1b]52;c;", []),
        (b"\x1b[" + b"1;" * 500 + b"@q", [Text("q")]),
        (b"\x1b[1;2\x11", [Text("\x11")]),
        (b"\x1b[1;2", []),
        (b"\x1b[200~a\x1b[A\x00\xff\x1b[201~q", [Pasted("a\x1b[A\ufffd", False), Text("q")]),
        (b"\x1b[200~a\x1b[20", [Pasted("a\x1b[20", False)]),
    ],
)
def test_each_kind_is_told_apart(data: bytes, tokens: list[Token]) -> None:
    assert cut(data) == tokens


@given(STREAM, st.data())
def test_where_the_pieces_end_changes_nothing(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data)))
    # a reply without content may still be a key while nothing follows
    if data[:at].endswith((b"\x1bP", b"\x1bX", b"\x1b]", b"\x1b^", b"\x1b_")):
        return
    assert cut(data[:at], data[at:]) == cut(data)


@given(STREAM)
def test_after_a_pause_every_key_is_heard(data: bytes) -> None:
    cutter = Cutter()
    list(cutter.feed(data))
    list(cutter.pause())
    assert [token.text[-1:] for token in cutter.feed(b"q")] == ["q"]


def test_of_a_long_paste_the_beginning_is_used() -> None:
    (token,) = cut(b"\x1b[200~", b"a" * LONGEST_PASTE, b"b" * LONGEST_PASTE, b"\x1b[201~")
    assert token == Pasted("a" * LONGEST_PASTE, True)


def test_a_paste_as_long_as_is_used_is_whole() -> None:
    assert cut(b"\x1b[200~" + b"a" * LONGEST_PASTE + b"\x1b[201~") == [Pasted("a" * LONGEST_PASTE, False)]


@pytest.mark.parametrize("begun", [b"\x1b]", b"\x1b[", b"\x1b[200~", b""])
def test_a_long_stream_costs_no_more_per_byte_than_a_short_one(begun: bytes) -> None:
    def work(size: int) -> None:
        cutter = Cutter()
        list(cutter.feed(begun))
        for _ in range(size):
            list(cutter.feed(b"1;" * 512))

    assert growth(work, 20, 8) < 24
