"""The terminal is left as it was found, whatever ends the app; a small app stands in for the tutor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.clock import AtMost
from tests.support.paths import SUPPORT
from tests.support.processes import child, running, within
from tests.support.terminal import Terminal, echoes

TINY = str(SUPPORT / "tiny_app.py")
JOB = str(SUPPORT / "job.py")


def tiny(mode: str, tmp_path: Path, home: dict[str, str]) -> Terminal:
    return Terminal([sys.executable, TINY, mode, str(tmp_path / "file")], home)


def test_quit_restores_the_terminal(tmp_path: Path, home: dict[str, str]) -> None:
    with tiny("idle", tmp_path, home) as t:
        t.until("tiny app is up")
        t.keys("\x11")
        assert t.status() == 0
        t.assert_restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("key", ["", "s"], ids=["idle", "stuck"])
def test_a_signal_saves_and_restores(
    number: int, key: str, tmp_path: Path, home: dict[str, str], at_most: AtMost
) -> None:
    """Also when the event loop is stuck and the app cannot end by itself."""
    with tiny("idle", tmp_path, home) as t:
        t.until("tiny app is up")
        if key:
            t.keys(key)
            t.until(lambda: _asleep(child(t.pid)))
        with at_most(3 if key else 1):
            os.kill(t.pid, number)
            assert t.status() == 128 + number
        assert (tmp_path / "file").read_text() == "saved"
        t.assert_restored()


def _asleep(pid: int) -> bool:
    """The main thread is in `time.sleep`, not in the event loop."""
    return "nanosleep" in Path(f"/proc/{pid}/wchan").read_text()


def test_an_exception_is_one_line_and_a_status(tmp_path: Path, home: dict[str, str]) -> None:
    with tiny("idle", tmp_path, home) as t:
        t.until("tiny app is up")
        t.keys("x")
        assert t.status() == 1
        t.assert_restored()
        assert "RuntimeError: boom ␛[31m 18" in t.text
        log = tmp_path / "llm-holes" / "log" / "app.log"
        assert str(log) in t.text.replace("\n", "")
        assert "Traceback" not in t.text
        assert "in action_boom" in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_signal_leaves_the_engine_behind(number: int, tmp_path: Path, home: dict[str, str], at_most: AtMost) -> None:
    with tiny("engine", tmp_path, home) as t:
        t.until("engine")
        t.until(lambda: len(running(f"MARK={tmp_path}")) == 3)
        os.kill(t.pid, number)
        assert t.status() == 128 + number
        with at_most(1):
            assert within(10, lambda: not running(f"MARK={tmp_path}"))


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
def test_a_native_crash_restores_the_terminal_and_is_told(
    number: int, tmp_path: Path, home: dict[str, str], at_most: AtMost
) -> None:
    with tiny("engine", tmp_path, home) as t:
        t.until("engine")
        os.kill(child(t.pid), number)
        assert t.status() == 128 + number
        t.assert_restored()
        assert f"ended by {signal.Signals(number).name}" in t.text
        with at_most(1):
            assert within(10, lambda: not running(f"MARK={tmp_path}"))


def test_an_app_that_somebody_stopped_is_ended_too(tmp_path: Path, home: dict[str, str]) -> None:
    with tiny("idle", tmp_path, home) as t:
        t.until("tiny app is up")
        os.kill(child(t.pid), signal.SIGSTOP)
        os.kill(t.pid, signal.SIGTERM)
        assert t.status() == 128 + signal.SIGKILL
        t.assert_restored()
        assert not running(f"MARK={tmp_path}")


def test_job_control_stops_and_continues_both_processes(tmp_path: Path, home: dict[str, str]) -> None:
    with Terminal([sys.executable, JOB, sys.executable, TINY, "idle", str(tmp_path / "file")], home) as t:
        t.until("tiny app is up")
        both = [child(t.pid), child(child(t.pid))]
        os.kill(both[0], signal.SIGTSTP)
        assert within(5, lambda: all(_state(pid) == "T" for pid in both))
        t.read()
        t.assert_restored()
        os.kill(both[0], signal.SIGCONT)
        t.until(lambda: all(_state(pid) in "SR" for pid in both) and not echoes(t.fd))
        t.keys("\x11")
        assert t.status() == 0
        t.assert_restored()


def test_where_no_shell_could_continue_it_nothing_is_stopped(tmp_path: Path, home: dict[str, str]) -> None:
    """As after `ssh host llm-holes`, from which there would be no way on."""
    with tiny("idle", tmp_path, home) as t:
        until = time.monotonic() + 10
        while echoes(t.fd) and time.monotonic() < until:
            t.keys("\x1a")
            t.read(0.01)
        t.until("tiny app is up")
        os.kill(t.pid, signal.SIGTSTP)
        os.kill(child(t.pid), signal.SIGTSTP)
        t.keys("\x11")
        assert t.status() == 0


def _state(pid: int) -> str:
    """T is stopped, S sleeps, R runs."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells a process that its parent ended")
@pytest.mark.parametrize("end", ["SIGHUP", "SIGKILL", "hang up"])
def test_a_stopped_engine_is_not_left_behind(end: str, tmp_path: Path, home: dict[str, str], at_most: AtMost) -> None:
    with tiny("engine", tmp_path, home) as t:
        t.until("engine")
        t.until(lambda: len(running(f"MARK={tmp_path}")) == 3)
        (engine,) = {*running(f"MARK={tmp_path}")} - {t.pid, child(t.pid)}
        t.until(lambda: len(os.listdir(f"/proc/{engine}/task")) > 2)  # it has begun to serve
        os.kill(engine, signal.SIGSTOP)
        if end == "hang up":
            t.hang_up()
            assert t.ended(20)
        else:
            os.kill(t.pid, signal.Signals[end])
            t.status()
        with at_most(3):
            assert within(10, lambda: not running(f"MARK={tmp_path}"))


@pytest.mark.parametrize("mode", ["idle", "stream", "engine"])
def test_no_hangup_leaves_a_process_behind(mode: str, tmp_path: Path, home: dict[str, str], at_most: AtMost) -> None:
    with tiny(mode, tmp_path, home) as t:
        t.until("engine" if mode == "engine" else "tiny" if mode == "idle" else "count")
        t.hang_up()
        assert t.ended(20)
        with at_most(1):
            assert within(10, lambda: not running(f"MARK={tmp_path}"))
        assert (tmp_path / "file").read_text().startswith("saved")


def test_a_terminal_that_goes_without_a_hangup_signal_is_noticed(
    tmp_path: Path, home: dict[str, str], at_most: AtMost
) -> None:
    """In a session of its own, which the terminal does not control and does not signal."""
    with Terminal(["setsid", "--wait", sys.executable, TINY, "idle", str(tmp_path / "file")], home) as t:
        t.until("tiny app is up")
        t.hang_up()
        with at_most(5):
            assert within(10, lambda: not running(f"MARK={tmp_path}"))
        assert (tmp_path / "file").read_text() == "saved"


def test_a_stalled_link_does_not_freeze_the_app(tmp_path: Path, home: dict[str, str]) -> None:
    with tiny("stream", tmp_path, home) as t:
        t.until("count 10 ")
        # nobody reads the terminal: its buffer and the driver's queue are full in less than three seconds
        assert within(10, lambda: _beats(tmp_path) > 120)
        gaps = _gaps(tmp_path)
        assert max(gaps) < 1
        # and when it is read again, the picture is whole
        t.until(lambda: _count(t) > 125)
        t.until("changed once")
        t.keys("\x11")
        assert t.status() == 0
        t.assert_restored()


def test_a_stalled_link_that_then_breaks_leaves_no_process(tmp_path: Path, home: dict[str, str]) -> None:
    with tiny("stream", tmp_path, home) as t:
        t.until("count 10 ")
        assert within(10, lambda: _beats(tmp_path) > 100)
        t.hang_up()
        assert t.ended(20)


def _beats(tmp_path: Path) -> int:
    return len((tmp_path / "file").read_text().splitlines())


def _gaps(tmp_path: Path) -> list[float]:
    times = [float(line) for line in (tmp_path / "file").read_text().splitlines()]
    return [b - a for a, b in pairwise(times)]


def _count(t: Terminal) -> int:
    words = t.screen.display[0].split()
    return int(words[1]) if words[:1] == ["count"] else 0


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_draw_is_told_in_one_sentence(
    term: str, tmp_path: Path, home: dict[str, str], at_most: AtMost
) -> None:
    home["TERM"] = term
    with tiny("idle", tmp_path, home) as t:
        with at_most(2):
            assert t.status() == 2
        assert b"\x1b" not in t.output
        assert "llm-holes list" in t.text


def test_without_a_terminal_the_app_does_not_start(tmp_path: Path, home: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, TINY, "idle", "x"], env=home, capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
