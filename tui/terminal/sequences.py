"""What a terminal sends, cut into text, key sequences and pastes: whatever the bytes are, none ends the input.

Replies nobody asked for are dropped, damaged sequences too. Nothing is waited for longer than a pause, and of nothing
more is held than a bound, so that the next key is heard.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from typing import NamedTuple

LONGEST_PASTE = 65_536
"""Bytes of one paste that are used."""

PASTE_START, PASTE_END = b"\x1b[200~", b"\x1b[201~"

ESCAPED = re.compile(
    rb"\x1b(?:"
    rb"(?P<dropped>\[M[\x00-\xff]{3})"  # a mouse report of the old encoding, whose bytes can be anything
    rb"|(?P<string>[P\]X^_])(?=[^\x00-\x1f])"  # DCS, OSC, SOS, PM, APC
    rb"|(?P<key>\[\[[A-E]|\[[0-?]{0,64}[ -/]{0,4}[@-LN-Z\\-~]|\[[0-?]{1,64}M|O[ -~]"
    rb"|[\x20-\x4e\x51-\x57\x59\x5a\x5c\x60-\x7f]"  # with alt
    rb"|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
    rb")"
)
BEGUN = re.compile(
    rb"\x1b(?:\[(?:M[\x00-\xff]{0,2}|\[|[0-?]{0,64}[ -/]{0,4})?|[OP\]X^_]"
    rb"|[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})?\Z"
)
"""What can still become a sequence."""
TYPED = re.compile(rb"\x1b[\[OP\]X^_]?\Z")
"""What a key makes too when nothing follows: escape, or alt with this character."""
PARAMETERS = re.compile(rb"[ -?]*")
CONTROL = re.compile(rb"[\x00-\x1f]")


class Text(NamedTuple):
    """Characters, typed one by one; what is no UTF-8 reads U+FFFD."""

    text: str


class Sequence(NamedTuple):
    """Escape and what belongs to it."""

    text: str


class Pasted(NamedTuple):
    """The text of a paste; `cut` if it was longer than is used."""

    text: str
    cut: bool


Token = Text | Sequence | Pasted


class Cutter:
    """Cuts what comes in pieces of any size."""

    def __init__(self) -> None:
        self._data = b""
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._within = self._text
        self._paste = b""
        self._cut = False

    def feed(self, data: bytes) -> Iterator[Token]:
        self._data += data
        before = None
        while self._data and before != (len(self._data), self._within):
            before = len(self._data), self._within
            yield from self._within()

    def pause(self) -> Iterator[Token]:
        """What was begun and does not go on: a key, the paste so far, or nothing."""
        if self._within == self._pasting:
            self._paste += self._take(len(self._data))
            yield self._pasted()
        elif self._within == self._text and TYPED.match(self._data):
            yield Sequence(self._data.decode())
        self._data = b""
        self._within = self._text

    @property
    def pasting(self) -> bool:
        """Whether the end of a paste is waited for, which may take longer than a key."""
        return self._within == self._pasting

    def _take(self, count: int) -> bytes:
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def _text(self) -> Iterator[Token]:
        at = self._data.find(b"\x1b")
        text = self._decode(self._take(at if at >= 0 else len(self._data)), at >= 0)
        if text:
            yield Text(text)
        if self._data:
            yield from self._escaped()

    def _escaped(self) -> Iterator[Token]:
        found = ESCAPED.match(self._data)
        if found is None:
            if not BEGUN.match(self._data):
                yield from self._damaged()
        elif found["string"]:
            self._take(2)
            self._within = self._in_string
        elif (sequence := self._take(found.end())) == PASTE_START:
            self._paste, self._cut = b"", False
            self._within = self._pasting
        elif found["key"]:
            yield Sequence(sequence.decode())

    def _damaged(self) -> Iterator[Token]:
        """Escape alone, or a sequence that is too long or broken off."""
        if self._data.startswith(b"\x1b["):
            self._take(2)
            self._within = self._too_long
        else:
            yield Sequence(self._take(2 if self._data.startswith(b"\x1bO") else 1).decode())

    def _too_long(self) -> Iterator[Token]:
        """Drops up to the end of the sequence."""
        found = PARAMETERS.match(self._data)
        assert found is not None
        self._take(found.end())
        if self._data:
            self._take(1 if 0x40 <= self._data[0] <= 0x7E else 0)
            self._within = self._text
        yield from ()

    def _in_string(self) -> Iterator[Token]:
        """Drops up to the end of the string, or to the first control character: in none of them is one."""
        found = CONTROL.search(self._data)
        self._take(found.start() if found is not None else len(self._data))
        if self._data and self._data != b"\x1b":
            self._take(2 if self._data.startswith(b"\x1b\\") else self._data.startswith(b"\x07"))
            self._within = self._text
        yield from ()

    def _pasting(self) -> Iterator[Token]:
        at = self._data.find(PASTE_END)
        # the end may come in two pieces
        taken = self._take(at if at >= 0 else max(len(self._data) - len(PASTE_END) + 1, 0))
        room = LONGEST_PASTE - len(self._paste)
        self._cut |= len(taken) > room
        self._paste += taken[:room]
        if at >= 0:
            self._take(len(PASTE_END))
            self._within = self._text
            yield self._pasted()

    def _pasted(self) -> Pasted:
        text = self._paste.decode("utf-8", "replace")
        self._paste = b""
        # NUL comes of some terminals' own padding
        return Pasted(text.replace("\x00", ""), self._cut)
