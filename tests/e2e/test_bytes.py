"""Whatever bytes a terminal sends, the app goes on working or was left by a key for leaving."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import sys
import termios
import time
from pathlib import Path
from random import Random
from threading import Thread

import pyte
import pytest
from textual.constants import ESCAPE_DELAY

from llm_holes.lessons.catalog import catalog
from llm_holes.tui.terminal.input import PASTE_SECONDS
from tests.support import fuzz
from tests.support.clock import AtMost
from tests.support.paths import SUPPORT
from tests.support.soak import examples
from tests.support.terminal import Terminal, echoes

START = PATIENCE = 30.0
"""Seconds, on a busy machine."""
SIZES = ((120, 40), (80, 24), (160, 50), (60, 16), (20, 5))
ESCAPE, HELP = b"\x1b[27u", "Everywhere"

PAYLOADS = {
    "no UTF-8": b"\xff",
    "é of Latin-1": b"\xe9",
    "half a character": b"\xc3",
    "a click beyond column 95": b"\x1b[M \xf0\xe9",
    "a long reply": b"\x1b]52;c;" + b"A" * 40_000 + b"\x07",
    "a reply without an end": b"\x1bP" + b"A" * 40_000,
    "an endless sequence": b"\x1b[" + b"1;" * 20_000,
    "characters beyond Unicode": b"\x1b[99999999;1u\x1b[55296;1;55296u",
    "a terminal of any size": b"\x1b[48;99999;99999;9;9t",
    "clicks far away": b"\x1b[<0;99999999;99999999M\x1b[<0;99999999;99999999m",
    "a storm of focus": b"\x1b[I\x1b[O" * 5_000,
    "C1": "\x9b".encode() * 50,
    "a flood of C1 bytes": b"\x9b" * 10_000,
    "a paste without an end": b"\x1b[200~q",
}


@pytest.fixture(autouse=True)
def anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that are shared are written to where the app was started."""
    monkeypatch.chdir(tmp_path)


class Forgiving(pyte.ByteStream):
    """Once the app has left, the terminal echoes what is still sent to it, which pyte does not understand."""

    def __init__(self, screen: pyte.Screen, fd: int) -> None:
        super().__init__(screen)
        self._fd = fd

    def feed(self, data: bytes) -> None:
        try:
            super().feed(data)
        except Exception:
            if not echoes(self._fd):
                raise


def opened(env: dict[str, str], lesson: str, size: tuple[int, int] = (120, 40)) -> Terminal:
    """Without answers, which would fall into the middle of what is sent."""
    t = Terminal([sys.executable, str(SUPPORT / "recorded_app.py"), lesson], env, size, answers=False)
    t.stream = Forgiving(t.screen, t.fd)
    t.until(lambda: not echoes(t.fd), START)
    return t


def send(t: Terminal, data: bytes) -> None:
    """Sends and reads at the same time: neither side's buffer may hold up the other."""

    def write() -> None:
        at = 0
        while at < len(data):
            try:
                at += os.write(t.fd, data[at : at + 4096])
            except OSError:  # the app has ended
                return

    writer = Thread(target=write)
    writer.start()
    while writer.is_alive():
        t.read()


def resize(t: Terminal, size: tuple[int, int]) -> None:
    t.screen.resize(size[1], size[0])
    fcntl.ioctl(t.fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))


def pause(t: Terminal, seconds: float) -> None:
    """Long enough that what was begun is given up."""
    end = time.monotonic() + seconds + 0.1
    while time.monotonic() < end:
        t.read()


def quiet(t: Terminal) -> None:
    """Until nothing is drawn for a moment."""
    before = -1
    while before != len(t.output):
        before = len(t.output)
        t.read(0.1)


def assert_heard_or_left(t: Terminal) -> None:
    """The help comes when it is asked for and the app leaves when told to, unless a key has told it before."""
    resize(t, (120, 40))
    pause(t, PASTE_SECONDS)
    until = time.monotonic() + PATIENCE
    while HELP not in t.text and not t.ended(0):
        assert time.monotonic() < until, t.text
        # again, as what is sent while the app still waits for the end of a paste belongs to it
        send(t, ESCAPE * 4 + b"?")
        again = time.monotonic() + 2 * PASTE_SECONDS
        while HELP not in t.text and not t.ended(0) and time.monotonic() < again:
            t.read()
    if not t.ended(0):
        send(t, ESCAPE)
        t.until(lambda: HELP not in t.text, PATIENCE)
        send(t, b"\x11")
    assert t.status(PATIENCE) == 0, t.text
    t.assert_restored()


def assert_no_fault_of_ours(home: dict[str, str]) -> None:
    """A click on a widget that is just being removed is more than Textual can take; that is told, and survived."""
    log = Path(home["XDG_STATE_HOME"]) / "llm-holes" / "log" / "app.log"
    faults = log.read_text().split("\n\n") if log.exists() else []
    assert [fault for fault in faults if re.search(r'/tui/(?!faults\.py)[\w/]+\.py"', fault)] == []


def test_the_next_key_is_heard_whatever_came_before(home: dict[str, str], at_most: AtMost) -> None:
    with opened(home, "tokens", (80, 24)) as t:
        t.until("ready", START)
        for name, payload in PAYLOADS.items():
            print(name)
            send(t, payload)
            pause(t, PASTE_SECONDS if "paste" in name else ESCAPE_DELAY)
            send(t, b"?")
            with at_most(3):
                t.until(HELP, PATIENCE)
            send(t, ESCAPE)
            t.until(lambda: HELP not in t.text, PATIENCE)
        send(t, b"\x11")
        assert t.status() == 0
    assert_no_fault_of_ours(home)


@pytest.mark.parametrize("seed", range(max(examples(10) // 10, 1)))
def test_a_stream_of_anything_ends_in_a_working_app_or_a_clean_quit(seed: int, home: dict[str, str]) -> None:
    rng = Random(seed)
    with opened(home, rng.choice(list(catalog.load().lessons)), rng.choice(SIZES)) as t:
        for _ in range(30):
            send(t, fuzz.burst(rng, fuzz.ANYTHING))
            if rng.random() < 0.1:
                resize(t, rng.choice(SIZES))
        assert_heard_or_left(t)
    assert_no_fault_of_ours(home)


def test_a_monkey_at_the_keys_finds_no_fault(home: dict[str, str]) -> None:
    """20,000 keys in the long tests, over all lessons and at several sizes."""
    rng, left = Random(18), examples(5) * 10
    lessons = list(catalog.load().lessons)
    while left > 0:
        with opened(home, rng.choice(lessons), rng.choice(SIZES)) as t:
            for _ in range(min(left, 200)):
                data = fuzz.burst(rng, fuzz.BY_HAND)
                left -= len(data.split(b"\x1b"))
                send(t, data)
                quiet(t)
                if t.ended(0) or left <= 0:
                    break
            assert_heard_or_left(t)
        assert_no_fault_of_ours(home)
