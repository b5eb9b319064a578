"""What the terminal gets for what a learner does, at 120x40."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

from llm_holes.lessons.catalog import catalog
from tests.support.paths import RECORDINGS
from tests.support.soak import examples
from tests.support.terminal import Terminal

KEYS, CODE = "Everywhere", '"""'
TITLES = {lesson.id: lesson.title for lesson in catalog.load().lessons.values()}
LESSONS = sorted((path.stem for path in RECORDINGS.glob("*.msgpack")), key=lambda lesson: lesson != "attention")


def sent(t: Terminal, keys: str, shows: str | Callable[[], bool] = "") -> int:
    """Bytes the keys are answered with, up to a pause after what is to be seen then."""
    before, size = t.text, len(t.output)
    t.keys(keys)
    t.until(shows or (lambda: t.text != before))
    rest(t)
    return len(t.output) - size


def rest(t: Terminal) -> None:
    """Reads until the app pauses."""
    size = -1
    while len(t.output) > size:
        size = len(t.output)
        t.read(0.4)


def write_on(t: Terminal, data: bytes) -> None:
    """What another program writes on the same terminal."""
    terminal = os.open(os.readlink(f"/proc/{t.pid}/fd/0"), os.O_WRONLY | os.O_NOCTTY)
    os.write(terminal, data)
    os.close(terminal)


@pytest.mark.parametrize("lesson", LESSONS[: examples(1)])
def test_an_act_sends_little_more_than_what_it_changes(lesson: str, home: dict[str, str]) -> None:
    with Terminal([sys.executable, "-m", "tests.support.streaming_app", lesson], home) as t:
        t.until("ready", 60)
        rest(t)
        assert sent(t, "?", KEYS) <= 25_000, "a dialog"
        assert sent(t, "\x1b", lambda: KEYS not in t.text) <= 25_000, "back from a dialog"
        assert sent(t, "c", CODE) <= 25_000, "a dialog"
        assert sent(t, "j") <= 4_000, "a scroll by a line"
        sent(t, "\x1b", lambda: CODE not in t.text)
        assert sent(t, "\t") <= 25_000, "a switch of panes"
        shown = t.text
        write_on(t, b"\x1b[5;5H\x1b[41mBroadcast message from root\x1b[m\x1b[1;1H")
        t.until("Broadcast")
        assert sent(t, "\x0c", lambda: t.text == shown) <= 25_000, "a screen anew"
        assert sent(t, "u" if lesson == "memory" else "d", lambda: TITLES[lesson] not in t.text) <= 50_000, (
            "another page"
        )
