"""The app at the end of a slow line, on recorded runs: keys are answered, and no more is sent than is seen."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from itertools import product
from pathlib import Path

import pytest

from tests.support.clock import AtMost
from tests.support.processes import running, within
from tests.support.slow_line import SlowTerminal
from tests.support.soak import examples
from tests.support.terminal import Terminal

HEAVIEST = ("stopping", "kv-cache-offloading", "paged-attention", "tool-calls", "attention", "thinking")
"""Lessons whose runs change most on the screen."""
RATE = 20_000
"""Bytes a second; each way takes 100 ms."""
FOREVER = "1000"
RUNNING = "x stop"
ALL_KEYS = "Everywhere"


def recorded(lesson: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.streaming_app", lesson, *options]


def pause(t: Terminal, seconds: float) -> float:
    """Bytes a second while nothing is pressed."""
    before, end = len(t.output), time.monotonic() + seconds
    while time.monotonic() < end:
        t.read()
    return (len(t.output) - before) / seconds


def begin(t: Terminal) -> None:
    """The lesson is open, and its run is under way and goes on."""
    t.until("ready", 60)
    pause(t, 0.5)
    t.keys("r")
    t.until(RUNNING)


def stall(t: Terminal) -> None:
    """Fills what the system holds of a terminal's output; nobody reads it."""
    terminal = os.open(os.readlink(f"/proc/{t.pid}/fd/0"), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(terminal, b"." * 4096)
    os.close(terminal)


@pytest.mark.parametrize(("lesson", "answers"), list(product(HEAVIEST, (True, False)))[: examples(1)])
def test_on_a_slow_line_every_key_is_answered_during_a_run(
    lesson: str, answers: bool, home: dict[str, str], at_most: AtMost
) -> None:
    with SlowTerminal(recorded(lesson, "--times", FOREVER), home, rate=RATE, answers=answers) as t:
        begin(t)
        rate = pause(t, 1.5)
        with at_most(1.5):
            t.keys("?")
            t.until(ALL_KEYS)
        with at_most(1.5):
            t.keys("\x1b")
            t.until(lambda: ALL_KEYS not in t.text)
        with at_most(1.5):
            t.keys("x")
            t.until("runs it again")
        t.keys("q")
        assert t.status() == 0
        t.assert_restored()
        assert rate <= (16_000 if answers else RATE)


def test_what_is_typed_on_a_slow_line_is_all_that_arrives(home: dict[str, str]) -> None:
    """The terminal's answers are no keys, and none is left for the shell."""
    with SlowTerminal(recorded("stopping", "--times", FOREVER), home, rate=RATE) as t:
        begin(t)
        t.keys("e")
        t.until("enter")
        for letter in "plain letters ":
            t.keys(letter)
            pause(t, 0.05)
        t.until("plain letters")
        assert "[" not in t.text.partition("plain letters")[0].splitlines()[-1]
        t.keys("\x1b")
        pause(t, 0.5)
        t.keys("\x11")
        assert t.status() == 0
        t.assert_restored()
        assert not t.on_the_way


@pytest.mark.parametrize("answers", [True, False], ids=["answering", "mute"])
def test_with_the_line_stalled_the_app_can_be_left(
    answers: bool, tmp_path: Path, home: dict[str, str], at_most: AtMost
) -> None:
    """Within three seconds; and when the line is there again, the terminal is as it was found."""
    with Terminal(recorded("stopping", "--times", FOREVER), home, answers=answers) as t:
        begin(t)
        stall(t)
        with at_most(3):
            t.keys("\x11")
            assert within(20, lambda: not running(f"MARK={tmp_path}"))
        assert "stopping" in (tmp_path / "state" / "progress.json").read_text()
        assert t.status() == 0
        t.assert_restored()
