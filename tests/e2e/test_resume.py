"""The app is killed in the middle of a run, in a real terminal, and started again. The engine replays a recording."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.support.terminal import Terminal

SMALL = (80, 20)
TOP = "tier 2 · 5 minutes"
"""In the first lines of the lesson's page."""
PAGE_HINT = "j and ↑ k scroll"


def demo(home: dict[str, str], tmp: str, *arguments: str) -> Terminal:
    command = [sys.executable, "-m", "tests.support.demo", *arguments]
    t = Terminal(command, home | {"TMPDIR": tmp, "TEXTUAL_ANIMATIONS": "none"}, SMALL)
    t.until("ready")
    return t


def page(t: Terminal) -> list[str]:
    """The first lines of the lesson's page that are in sight; no measured number is in them."""
    lines = t.text.split("\n")
    start = next((n for n, line in enumerate(lines) if "2 lesson" in line), len(lines)) + 1
    return [line[:76].strip() for line in lines[start:] if line.strip()][:2]


def test_after_a_kill_in_mid_run_it_goes_on_there(
    home: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp = str(tmp_path_factory.mktemp("tmp"))
    with demo(home, tmp, "kv-cache", "--pace", "0.5") as t:
        t.keys("2")
        t.until(TOP)
        while TOP in t.text:
            before = t.text
            t.keys("j")
            t.until(lambda before=before: t.text != before)
        t.keys("3")
        t.until("new tokens")
        t.keys("2")
        t.until(lambda: PAGE_HINT in t.text and len(page(t)) == 2)
        left_at = page(t)
        t.keys("3")
        t.until("new tokens")
        t.keys("\x1b[C")
        t.until("◂ on ▸")
        t.keys("r")
        t.until("0-9 answers")
        t.keys("7\r")
        t.until("of 128 tokens")
        os.kill(t.pid, signal.SIGKILL)
        assert t.status() == 128 + signal.SIGKILL
    with demo(home, tmp, "--pace", "0.02") as t:
        t.until("◂ on ▸")
        t.keys("r")
        t.until("You said 7; it was 11.")
        t.keys("2")
        t.until(PAGE_HINT)
        t.until(lambda: page(t) == left_at)
        assert TOP not in t.text
