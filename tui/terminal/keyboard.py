"""From the bytes of a terminal to Textual's events."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual._parser import ParseTimeout
from textual._xterm_parser import XTermParser
from textual.message import Message
from textual.messages import InBandWindowResize

from llm_holes.tui.draw.sanitize import editable
from llm_holes.tui.terminal.sequences import Cutter, Pasted, Sequence, Text, Token


class Keyboard:
    """Textual's parser is asked what a sequence means, and never sees one that is not whole.

    What it does not know is dropped: it would take every character of it for a key.
    """

    def __init__(self) -> None:
        self._cutter = Cutter()
        self._parser = XTermParser()
        self.cut = False
        """Whether a paste was longer than is used."""

    @property
    def pasting(self) -> bool:
        return self._cutter.pasting

    def read(self, data: bytes) -> list[Message]:
        return self._events(self._cutter.feed(data))

    def pause(self) -> list[Message]:
        """Nothing came for a while."""
        return self._events(self._cutter.pause())

    def _events(self, tokens: Iterable[Token]) -> list[Message]:
        return [message for token in tokens for message in self._meaning(token) if _wanted(message)]

    def _meaning(self, token: Token) -> list[Message]:
        match token:
            case Text(text) | Sequence(text):
                return self._understood(text)
            case Pasted(text, cut):
                self.cut |= cut
                # not every field that takes one makes it safe to draw
                return [events.Paste(editable(text))]

    def _understood(self, text: str) -> list[Message]:
        try:
            found = list(self._parser.feed(text))
            if self._parser._awaiting.timeout is not None:
                self._parser._awaiting = self._parser._gen.throw(ParseTimeout())
                if len(text) <= 2:  # escape, or a character with alt
                    found += self._parser._tokens
                self._parser._tokens.clear()
        except (ValueError, OverflowError):
            # numbers that are no character: the parser has ended
            self._parser = XTermParser()
            return []
        return found


def _wanted(message: Message) -> bool:
    """Whether it is a key, a click or a reply that was asked for. The size of a terminal is what the system says."""
    if isinstance(message, events.Key):
        return not any("\ud800" <= character <= "\udfff" for character in message.character or "")
    return not isinstance(message, events.Resize | InBandWindowResize)
