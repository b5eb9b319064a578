"""As docs/classroom.md sets it up: a login gets the tutor, and there is no way from it to a shell or to a file that is
not the learner's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from llm_holes.engine.checkpoint.installed import ModelFiles
from tests.support import fuzz
from tests.support.paths import ROOT, SUPPORT
from tests.support.processes import running, within
from tests.support.soak import examples
from tests.support.sshd import Server, start_server
from tests.support.terminal import Terminal

CLIENT = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
START = 60.0
LETTERS = b"abcdefghijklmnoprstuvwxyz"
"""Without q, which leaves."""
EVERY_KEY = (
    *(bytes([code]) for code in range(0x20, 0x7F) if code != ord("q")),
    *(bytes([letter - 0x60]) for letter in LETTERS),
    *(b"\x1b[%d;5u" % letter for letter in LETTERS),
    *(b"\x1b[%d;%du" % (letter, modifier) for modifier in (3, 6, 7) for letter in LETTERS),
    *(b"\x1b[%d~" % number for number in range(1, 35)),
    *(
        b"\x1b%s" % end
        for end in (b"OP", b"OQ", b"OR", b"OS", b"[A", b"[B", b"[C", b"[D", b"[H", b"[F", b"[Z", b"[27u")
    ),
    *(b"\x1c", b"\x1d", b"\x1e", b"\x1f"),
)
OWN_PROGRAMS = ("llm_holes.lessons.worker", "llm_holes.engine.tokenizer.template_process")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the script keeps learners, and nobody else writes."""
    return tmp_path / "class"


@pytest.fixture
def classroom(folder: Path, tmp_path: Path, model_files: ModelFiles) -> Iterator[Server]:
    """The script of the page on a server, with everything in its processes written down."""
    made = script(folder, Path(model_files.folder).parent, tmp_path / "llm-holes-learner")
    env = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{SUPPORT / 'audit'}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AUDIT": str(tmp_path / "audit"),
        "MARK": str(tmp_path),
        "LANG": "C.UTF-8",
    }
    with start_server(tmp_path, env, f'restrict,pty,command="{made} anna"') as server:
        yield server


def script(folder: Path, models: Path, path: Path) -> Path:
    """The script, with the places of this test."""
    page = (ROOT / "docs" / "classroom.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", page, re.DOTALL)
    program = Path(sys.executable).parent / "llm-holes"
    for there, here in (
        ("/srv/llm-holes/learners", folder),
        ("/srv/llm-holes/models", models),
        ("/srv/llm-holes/venv/bin/llm-holes", program),
    ):
        assert there in text
        text = text.replace(there, str(here))
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def assert_nothing_else_was_done(audit: Path, folder: Path) -> None:
    """Every program that was started is the tutor's, and every file that was changed is the learner's."""
    assert OWN_PROGRAMS[0] in audit.read_text(encoding="utf-8")
    for line in audit.read_text(encoding="utf-8").splitlines():
        event, where, arguments = json.loads(line)
        if event in {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "webbrowser.open"}:
            assert any(program in line for program in OWN_PROGRAMS), line
            continue
        paths = [Path(where, part) for part in arguments if isinstance(part, str) and ("/" in part or "." in part)]
        for path in paths:
            assert path.is_relative_to(folder) or path.is_relative_to("/dev"), line


def press(t: Terminal, *keys: bytes) -> None:
    for key in keys:
        os.write(t.fd, key)
        t.read(0.01)


def test_no_key_leads_out_of_the_tutor(classroom: Server, folder: Path, tmp_path: Path) -> None:
    rng = Random(12)
    with Terminal(classroom.login("/bin/sh -i"), CLIENT) as t:
        t.until("ready", START)
        press(t, b"\x1b[27u", *EVERY_KEY, b"\x1b[27u" * 4)
        for wish in (b"screenshot", b"shell", b"save", b"quit"):
            press(t, b"\x10", wish, b"\r", *[b"\x1b[27u"] * 4)
        for _ in range(min(examples(3), 300)):
            press(t, fuzz.burst(rng, fuzz.BY_HAND))
        press(t, *[b"\x1b[27u"] * 4, b"\x11")
        assert t.status(START) == 0, t.text
    assert within(2, lambda: not running(f"MARK={tmp_path}"))
    assert_nothing_else_was_done(tmp_path / "audit", folder)
    assert {path.name for path in folder.iterdir()} == {"anna"}


@pytest.mark.parametrize("key", [b"\x03", b"\x1a", b"\x1c"], ids=["ctrl+c", "ctrl+z", "ctrl+backslash"])
def test_before_the_tutor_takes_the_keys_they_at_most_end_it(key: bytes, classroom: Server, tmp_path: Path) -> None:
    with Terminal(classroom.login(""), CLIENT) as t:
        until = time.monotonic() + START
        while "What happens" not in t.text and not t.ended(0) and time.monotonic() < until:
            press(t, key)
        assert t.ended(0) or "What happens" in t.text
        t.hang_up()
        assert within(5, lambda: not running(f"MARK={tmp_path}"))


def test_nothing_that_ssh_can_ask_for_is_anything_else(classroom: Server, tmp_path: Path) -> None:
    """A command, a file to copy, another subsystem, a line to somewhere else: the tutor, which here has no terminal."""
    program, *options, _, host, command = classroom.login(f"touch {tmp_path / 'made'}")
    for asked in ((host, command), ("-s", host, "sftp"), ("-T", host)):
        done = subprocess.run([program, *options, *asked], env=CLIENT, capture_output=True, text=True, timeout=START)
        assert done.returncode == 2
        assert "needs a terminal" in done.stderr or "sftp" in asked
    through = subprocess.run(
        [program, *options, "-W", f"127.0.0.1:{classroom.port}", host], env=CLIENT, capture_output=True, timeout=START
    )
    assert through.returncode == 255
    assert b"prohibited" in through.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "$(id)"])
def test_the_script_takes_names_only(name: str, folder: Path, tmp_path: Path) -> None:
    made = script(folder, tmp_path / "models", tmp_path / "llm-holes-learner")
    done = subprocess.run([made, name], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "usage:" in done.stderr
