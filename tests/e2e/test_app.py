"""The installed program on the real model, driven by keys in a real terminal, here and through a real ssh server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_holes.lessons.catalog import catalog
from tests.support.clock import AtMost
from tests.support.processes import within
from tests.support.sshd import Server
from tests.support.start import START, open_lesson
from tests.support.terminal import Terminal

Ours = Callable[[], list[int]]
"""Seconds until the model is ready, on a busy machine; fetching it takes longer, which another test does."""


def engines(ours: Ours) -> list[int]:
    return [pid for pid in ours() if b"llm_holes.lessons.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def run(t: Terminal) -> None:
    """Runs the lesson's first step, and waits until the model computes."""
    t.keys("r")
    t.until("running")


def test_a_lesson_is_run_by_keys_and_shows_what_was_measured(env: dict[str, str], ours: Ours, at_most: AtMost) -> None:
    with open_lesson(env, "tokens") as t:
        lesson = catalog.load()["tokens"]
        for n in range(lesson.step_of(lesson.data.bets[0])):
            t.keys(" ")
            t.until(f"step {n + 2} of")
        t.until("your bet first")
        t.keys("1\r")
        t.until("You said “")
        t.until("[ ]")
        t.keys("q")
        assert t.status() == 0
        t.assert_restored()
        with at_most(1):
            assert within(10, lambda: not ours())


def test_a_killed_engine_is_told_within_a_second_and_the_next_run_works(
    env: dict[str, str], ours: Ours, at_most: AtMost
) -> None:
    with open_lesson(env, "kv-cache") as t:
        run(t)
        (engine,) = engines(ours)
        with at_most(1):
            os.kill(engine, signal.SIGKILL)
            t.until("SIGKILL")
        t.keys("r")
        t.until("running", START)
        t.keys("\x11")
        assert t.status() == 0
        with at_most(1):
            assert within(10, lambda: not ours())


@pytest.mark.parametrize("end", ["ctrl+q", "SIGTERM", "SIGHUP", "hang up"])
def test_nothing_is_left_whatever_ends_a_running_lesson(
    end: str, env: dict[str, str], ours: Ours, at_most: AtMost
) -> None:
    with open_lesson(env, "kv-cache") as t:
        run(t)
        assert engines(ours)
        if end == "hang up":
            t.hang_up()
            assert t.ended(20)
        else:
            if end == "ctrl+q":
                t.keys("\x11")
            else:
                os.kill(t.pid, signal.Signals[end])
            assert t.status() == (0 if end == "ctrl+q" else 128 + signal.Signals[end])
            t.assert_restored()
        with at_most(2):
            assert within(10, lambda: not ours())


def test_ctrl_c_ends_a_headless_run_and_its_engine(env: dict[str, str], ours: Ours, at_most: AtMost) -> None:
    with Terminal(["llm-holes", "--threads", "1", "run", "stopping"], env) as t:
        t.until(lambda: "%" in t.text, START)  # the share of the run that is done
        assert engines(ours)
        t.keys("\x03")
        assert t.status() == 130
        t.assert_restored()
        assert t.text.strip() in {"", "^C"}
        with at_most(1):
            assert within(10, lambda: not ours())


def test_through_ssh_the_app_runs_and_a_dropped_line_leaves_no_process(
    env: dict[str, str], ours: Ours, server: Server, at_most: AtMost
) -> None:
    client_env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    with Terminal(server.login("llm-holes --threads 1 --lesson kv-cache"), client_env) as t:
        t.until("KV cache")
        t.until("ready", START)
        run(t)
        assert engines(ours)
        os.kill(t.pid, signal.SIGKILL)
        with at_most(5):
            assert within(10, lambda: not ours())


def test_through_ssh_quitting_restores_the_terminal(
    env: dict[str, str], ours: Ours, server: Server, at_most: AtMost
) -> None:
    client_env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    with Terminal(server.login("llm-holes --threads 1 --lesson tokens"), client_env) as t:
        t.until("What is a token?")
        t.keys("\x11")
        assert t.status() == 0
        t.assert_restored()
        with at_most(1):
            assert within(10, lambda: not ours())


def test_the_engine_runs_on_another_machine(
    tmp_path: Path, env: dict[str, str], ours: Ours, server: Server, at_most: AtMost
) -> None:
    """The front end asks `ssh`, and here finds one that knows this test's server as `loopback`."""
    wrapper = tmp_path / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {server.config} "$@"\n')
    wrapper.chmod(0o755)
    env["PATH"] = f"{wrapper.parent}:{env['PATH']}"
    command = ["llm-holes", "--engine", "ssh://loopback", "run", "tokens", "--set", "text=it's; $HOME", "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"roundtrip_exact": true' in done.stdout
    assert "it's; $HOME" in done.stdout
    with at_most(2):
        assert within(10, lambda: not ours())
