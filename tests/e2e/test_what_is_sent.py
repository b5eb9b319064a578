"""What the terminal gets for what a learner does, at 120x40."""

from __future__ import annotations

import os
import sys

import pytest

from tests.support.paths import RECORDINGS
from tests.support.soak import examples
from tests.support.terminal import Terminal

LESSONS = sorted((path.stem for path in RECORDINGS.glob("*.msgpack")), key=lambda lesson: lesson != "attention")


def sent(t: Terminal, keys: str) -> int:
    """Bytes the keys are answered with."""
    before = len(t.output)
    t.keys(keys)
    t.until(lambda: len(t.output) > before)
    return len(t.output) - before + rest(t)


def rest(t: Terminal) -> int:
    """Bytes until the app pauses."""
    before, seen = len(t.output), -1
    while len(t.output) > seen:
        seen = len(t.output)
        t.read(0.4)
    return len(t.output) - before


def write_on(t: Terminal, data: bytes) -> None:
    """What another program writes on the same terminal."""
    terminal = os.open(os.readlink(f"/proc/{t.pid}/fd/0"), os.O_WRONLY | os.O_NOCTTY)
    os.write(terminal, data)
    os.close(terminal)


@pytest.mark.parametrize("lesson", LESSONS[: examples(1)])
def test_an_act_sends_little_more_than_what_it_changes(lesson: str, home: dict[str, str]) -> None:
    with Terminal([sys.executable, "-m", "tests.support.recorded_app", lesson], home) as t:
        t.until("ready", 60)
        rest(t)
        assert sent(t, "?") <= 25_000, "a dialog"
        assert sent(t, "\x1b") <= 25_000, "back from a dialog"
        assert sent(t, "c") <= 25_000, "a dialog"
        assert sent(t, "j") <= 4_000, "a scroll by a line"
        sent(t, "\x1b")
        assert sent(t, "\t") <= 25_000, "a switch of panes"
        shown = t.text
        write_on(t, b"\x1b[5;5H\x1b[41mBroadcast message from root\x1b[m\x1b[1;1H")
        t.until("Broadcast")
        assert sent(t, "\x0c") <= 25_000, "a screen anew"
        assert t.text == shown
        assert sent(t, "u" if lesson == "memory" else "d") <= 50_000, "a change of page"
