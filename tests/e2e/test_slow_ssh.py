"""The app through a real sshd and a line of 20 kB/s and 200 ms round trip: keys are answered in the middle of a run."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tests.support.clock import AtMost
from tests.support.processes import running, within
from tests.support.slow_proxy import slow_line
from tests.support.soak import examples
from tests.support.sshd import start_server
from tests.support.terminal import Terminal

HEAVIEST = ("kv-cache-offloading", "stopping")
RATE, DELAY = 20_000, 0.1
CLIENT = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
ALL_KEYS = "Everywhere"
START = 60.0


def pause(t: Terminal, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        t.read()


@pytest.mark.parametrize("lesson", HEAVIEST[: examples(1)])
def test_through_a_slow_ssh_every_key_is_answered_during_a_run(
    lesson: str, tmp_path: Path, home: dict[str, str], at_most: AtMost
) -> None:
    app = f"{sys.executable} -m tests.support.streaming_app {lesson} --times 1000"
    with start_server(tmp_path, home) as server, slow_line(server.port, RATE, DELAY) as line:
        through = ("-p", str(line.port), "-o", f"HostKeyAlias=[127.0.0.1]:{server.port}")
        with Terminal(server.login(app, *through), CLIENT) as t:
            t.until("ready", START)
            pause(t, 0.2)
            line.slow = True
            t.keys("r")
            t.until("x stop", START)
            pause(t, 1)
            with at_most(1.5):
                t.keys("?")
                t.until(ALL_KEYS, START)
            with at_most(1.5):
                t.keys("\x1b")
                t.until(lambda: ALL_KEYS not in t.text, START)
            with at_most(1.5):
                t.keys("x")
                t.until("runs it again", START)
            t.keys("r")
            t.until("x stop", START)
            with at_most(3):
                t.keys("\x11")
                assert within(20, lambda: not running(f"MARK={tmp_path}"))
            assert t.status(START) == 0
            t.assert_restored()
