"""From bytes to events: what is not understood makes no key, and no bytes stop the keyboard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.messages import TerminalSupportsSynchronizedOutput

from llm_holes.tui.terminal.keyboard import Keyboard


def keys(data: bytes) -> list[str]:
    keyboard = Keyboard()
    return [event.key for event in keyboard.read(data) + keyboard.pause() if isinstance(event, events.Key)]


@pytest.mark.parametrize(
    ("data", "pressed"),
    [
        (b"q", ["q"]),
        (b"\x1b[A\x1bOB", ["up", "down"]),
        (b"\x1b", ["escape"]),
        (b"\x1b\x1b", ["escape", "escape"]),
        (b"\x1bx", ["alt+x"]),
        (b"\x1b[", ["left_square_bracket"]),
        (b"\x1b[27u\x1b[1;5C", ["escape", "ctrl+right"]),
        (b"\x1b[[Aq", ["f1", "q"]),
        (b"\xff", ["replacement_character"]),
        (b"\x1b[99999999;1uq", ["q"]),  # no character has this number
        (b"\x1b[55296;1;55296uq", ["q"]),  # half of one
        (b"\x1b[12345zq", ["q"]),
        (b"\x1b[48;99999;99999;9;9tq", ["q"]),
        (b"\x11", ["ctrl+q"]),
    ],
)
def test_what_is_no_key_presses_none(data: bytes, pressed: list[str]) -> None:
    assert keys(data) == pressed


def test_the_size_is_not_taken_from_what_is_sent() -> None:
    assert Keyboard().read(b"\x1b[48;99999;99999;9;9t\x1b[?2048;2$y") == []


def test_the_reply_that_is_asked_for_arrives() -> None:
    (reply,) = Keyboard().read(b"\x1b[?2026;2$y")
    assert isinstance(reply, TerminalSupportsSynchronizedOutput)


def test_a_click_arrives_where_it_was() -> None:
    down, up = Keyboard().read(b"\x1b[<0;3;4M\x1b[<0;3;4m")
    assert isinstance(down, events.MouseDown)
    assert isinstance(up, events.MouseUp)
    assert (down.x, down.y) == (2, 3)


def test_a_paste_holds_nothing_that_steers_the_terminal() -> None:
    """Textual's own input fields draw what they are given."""
    (paste,) = Keyboard().read(b"\x1b[200~a\x1b]52;c;QUFB\x07\xc2\x9b\xe2\x80\xae\r\nb\x1b[201~")
    assert isinstance(paste, events.Paste)
    assert paste.text == "a␛]52;c;QUFB␇‹9b›‹202e›\nb"


def test_a_paste_that_was_too_long_is_remembered_to_be_told() -> None:
    keyboard = Keyboard()
    keyboard.read(b"\x1b[200~" + b"a" * 70_000 + b"\x1b[201~")
    assert keyboard.cut


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\x1b[", b"\x1b[<", b";", b"u", b"M", b"~", b"9" * 20])))
def test_no_bytes_stop_the_keyboard(pieces: list[bytes]) -> None:
    keyboard = Keyboard()
    for piece in pieces:
        keyboard.read(piece)
    keyboard.pause()
    *_, key = keyboard.read(b"\x11")
    assert isinstance(key, events.Key)
    assert key.key == "ctrl+q"
