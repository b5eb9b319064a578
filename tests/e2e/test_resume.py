"""The app is killed in the middle of a run, in a real terminal, and started again. The engine replays a recording."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.support.terminal import Terminal

SMALL = (80, 24)


def demo(home: dict[str, str], tmp: str, *arguments: str) -> Terminal:
    command = [sys.executable, "-m", "tests.support.demo", *arguments]
    t = Terminal(command, home | {"TMPDIR": tmp, "TEXTUAL_ANIMATIONS": "none"}, SMALL)
    t.until("ready")
    return t


def test_after_a_kill_in_mid_run_it_goes_on_there(
    home: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp = str(tmp_path_factory.mktemp("tmp"))
    with demo(home, tmp, "kv-cache", "--pace", "0.5") as t:
        t.until("1 of 3")
        t.keys(" ")
        t.until("0-9 answers")
        t.keys("7\r")
        t.until("of 128 tokens")
        os.kill(t.pid, signal.SIGKILL)
        assert t.status() == 128 + signal.SIGKILL
    with demo(home, tmp, "--pace", "0.02") as t:
        t.until("2 of 3")
        t.until("How many pieces")  # a paint may arrive in pieces
        t.keys("r")
        t.until("You said 7; it was 11.")
