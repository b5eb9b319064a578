"""Progress is never lost: not by a kill, a second instance, a damaged file or a full disk."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_holes.lessons import state_file
from llm_holes.lessons.learner.events import (
    ForeignFile,
    decode,
)
from llm_holes.lessons.learner.progress import FILE, Progress
from llm_holes.lessons.notebook import notebook
from llm_holes.lessons.tier1.memory import memory_store
from tests.support.learned import QUIZ, TOKENS, answered
from tests.support.paths import ROOT


def recorder(folder: Path, prefix: str, *count: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.recorder", str(folder), prefix, *count]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_that_record_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [recorder(tmp_path, name, "60") for name in "abc"]
    assert [writer.communicate(timeout=60)[0].count("\n") for writer in writers] == [60] * 3
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    found = {event.id for event in Progress.open(tmp_path).events}
    assert found == {f"{name}-{number}" for name in "abc" for number in range(60)}


def test_threads_that_record_at_once_lose_nothing(tmp_path: Path) -> None:
    """The guard against hangups saves from a thread of its own."""
    progress = Progress.open(tmp_path)
    work = [threading.Thread(target=lambda: [progress.record(answered()) for _ in range(20)]) for _ in range(4)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert len(Progress.open(tmp_path).events) == 80


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_whole_file_with_all_that_was_saved(tmp_path: Path) -> None:
    """60 kills at random moments of a loop that does nothing but write."""
    chance = random.Random(3)
    saved: set[str] = set()
    for round_ in range(60):
        with recorder(tmp_path, f"r{round_}") as writer:
            assert writer.stdout is not None
            saved.add(writer.stdout.readline().strip())
            time.sleep(chance.uniform(0, 0.02))  # the moment of the kill, not a wait for anything
            writer.kill()
            saved |= {line for line in writer.stdout.read().split("\n")[:-1] if line}
        path = tmp_path / FILE
        found = {event.id for event in decode(path.read_bytes()).events}
        assert saved <= found
    progress = Progress.open(tmp_path)
    assert progress.take_notice() == ""
    assert saved <= {event.id for event in progress.events}
    assert not list(tmp_path.glob(f".{FILE}-*")), "what killed writers left is swept"


def test_what_a_writer_left_that_was_killed_before_the_first_file_is_swept(tmp_path: Path) -> None:
    (tmp_path / f".{FILE}-abc").write_bytes(b"half")
    Progress.open(tmp_path)
    assert not list(tmp_path.glob(f".{FILE}-*"))


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_link_to_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


NO_FILES = pytest.mark.parametrize(
    ("make", "kind"),
    [(make_pipe, "a pipe"), (make_link_to_device, "a device"), (make_link_to_pipe, "a pipe"), (Path.mkdir, "a folder")],
)


@NO_FILES
def test_what_is_no_file_is_set_aside_and_the_version_before_it_taken(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    progress = Progress.open(tmp_path)
    first = progress.record(answered())
    progress.record(answered())
    progress.path.unlink()
    make(progress.path)
    again = Progress.open(tmp_path)
    assert f"{progress.path} was {kind}, not a file; it is now progress.no-file-1.json." in again.take_notice()
    assert again.events == (first,)
    assert progress.path.is_file()
    assert os.path.lexists(tmp_path / "progress.no-file-1.json")


@NO_FILES
def test_a_version_before_that_is_no_file_is_passed_over(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    (tmp_path / FILE).write_text("noise")
    make(tmp_path / f"{FILE}.previous")
    assert "starts anew" in Progress.open(tmp_path).take_notice()


@NO_FILES
def test_a_notebook_that_is_no_file_is_set_aside(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / notebook.FILE)
    entry = notebook.Entry(lesson="tokens", settings={}, measured={})
    assert f"was {kind}, not a file; it is now notebook.no-file-1.jsonl." in notebook.append(entry, tmp_path)
    assert notebook.append(entry, tmp_path) == ""
    assert notebook.read(tmp_path) == ((entry,), ())
    (tmp_path / notebook.FILE).unlink()
    (tmp_path / "pipe").unlink(missing_ok=True)
    make(tmp_path / notebook.FILE)
    entries, (notice,) = notebook.read(tmp_path)
    assert entries == ()
    assert "it is now notebook.no-file-2.jsonl." in notice


@NO_FILES
def test_a_memory_that_is_no_file_is_set_aside(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    make(tmp_path / memory_store.FILE)
    store = memory_store.MemoryStore(tmp_path)
    assert f"was {kind}, not a file" in store.notice
    assert tuple(store.all()) == memory_store.FIRST


DAMAGE = {
    "empty": b"",
    "half": None,
    "noise": bytes(range(256)),
    "other JSON": b'{"a": 1}',
    "another program's": b'{"format": "vim", "version": 1}',
    "wrong types": b'{"format": "llm-holes progress", "version": 1, "events": {}}',
    "unknown event": b'{"format": "llm-holes progress", "version": 1, "events": [{"type": "eaten"}]}',
    "too sure": b'{"format": "llm-holes progress", "version": 1, "events": [{"type": "predicted", "lesson": "a", '
    b'"answer": 1, "said": "x", "confidence": 101}]}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_set_aside_and_the_version_before_it_taken(tmp_path: Path, damage: bytes | None) -> None:
    progress = Progress.open(tmp_path)
    first = progress.record(answered())
    progress.record(answered())
    content = progress.path.read_bytes()
    damage = content[: len(content) // 2] if damage is None else damage
    progress.path.write_bytes(damage)
    again = Progress.open(tmp_path)
    notice = again.take_notice()
    aside = tmp_path / "progress.damaged-1.json"
    assert str(aside) in notice
    assert aside.read_bytes() == damage
    assert again.events == (first,)
    assert again.take_notice() == ""
    # the instance that was open all the time still has what the file had
    assert progress.save()
    assert len(Progress.open(tmp_path).events) == 2


def test_a_second_damaged_file_does_not_replace_the_first(tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / FILE).write_text(text)
        Progress.open(tmp_path)
    assert [(tmp_path / f"progress.damaged-{n}.json").read_text() for n in (1, 2)] == ["one", "two"]


def test_a_file_of_a_newer_version_is_set_aside_unread(tmp_path: Path) -> None:
    newer = b'{"format": "llm-holes progress", "version": 99, "what": "nobody knows yet"}'
    (tmp_path / FILE).write_bytes(newer)
    progress = Progress.open(tmp_path)
    assert "newer llm-holes" in progress.take_notice()
    progress.record(answered())
    assert (tmp_path / "progress.newer-1.json").read_bytes() == newer
    assert len(Progress.open(tmp_path).events) == 1


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(state_file.os, "fsync", fail)


def test_a_full_disk_is_said_once_and_costs_nothing_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Progress.open(tmp_path)
    progress.record(answered(QUIZ[0]))
    with monkeypatch.context() as full:
        failing(full, errno.ENOSPC)
        progress.record(answered(QUIZ[1]))
        progress.record(answered(QUIZ[2]))
        assert progress.take_notice().count("No space left") == 1
        assert len(progress.events) == 3
        assert not progress.save()
        assert progress.take_notice() == ""
        assert len(Progress.open(tmp_path).events) == 1, "the old file is whole"
    assert progress.save()
    assert len(Progress.open(tmp_path).events) == 3
    assert not list(tmp_path.glob(f".{FILE}-*"))


def test_a_directory_that_cannot_be_made_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    progress = Progress.open(tmp_path / "file" / "state")
    assert "cannot be saved" in progress.take_notice()
    progress.record(answered())
    assert progress.lesson(TOKENS).answers
    assert progress.take_notice() == ""


def test_an_instance_that_hangs_with_the_lock_does_not_hang_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_file, "WAIT_SECONDS", 0.05)
    progress = Progress.open(tmp_path)
    with state_file.locked(progress.path):
        thread = threading.Thread(target=progress.record, args=[answered()])
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
    assert "in use" in progress.take_notice()
    assert progress.save()
    assert len(Progress.open(tmp_path).events) == 1


@pytest.mark.parametrize("data", [value for value in DAMAGE.values() if value is not None])
def test_an_import_of_something_else_is_refused_and_changes_nothing(tmp_path: Path, data: bytes) -> None:
    progress = Progress.open(tmp_path)
    progress.record(answered())
    before = progress.export()
    with pytest.raises(ForeignFile):
        progress.import_(data)
    assert progress.export() == before
