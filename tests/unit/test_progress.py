"""Progress is never lost: not by a kill, a second instance, a damaged file or a full disk."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llm_holes.lessons import catalog, state_file
from llm_holes.lessons.events import (
    Answered,
    Event,
    ForeignFile,
    Graded,
    Hinted,
    Predicted,
    Ran,
    Read,
    Resume,
    Skipped,
    decode,
)
from llm_holes.lessons.progress import FILE, Progress

LESSONS = catalog.load()
TOKENS = LESSONS["tokens"]
assert TOKENS.front is not None
QUIZ = [question.question for question in TOKENS.front.quiz]
ROOT = Path(__file__).parents[2]


def answered(question: str = QUIZ[0], right: bool | None = True, **more: Any) -> Answered:
    return Answered(lesson="tokens", question=question, option=1, said="b", right=right, **more)


def predicted(**more: Any) -> Predicted:
    return Predicted(lesson="tokens", answer=2, said="4 or 5", confidence=70, settings={"text": "a 🙂"}, **more)


def recorder(folder: Path, prefix: str, *count: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.recorder", str(folder), prefix, *count]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_what_was_recorded_is_there_at_the_next_start(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path, now=lambda: 1000.5)
    point = Resume(lesson="tokens", settings={"text": "a"}, pane="panel", scroll={"page": 12})
    progress.record(Read(lesson="tokens"))
    progress.record(answered())
    progress.leave_at(point)
    again = Progress.open(tmp_path)
    assert [type(event) for event in again.events] == [Read, Answered]
    assert all(event.at == pytest.approx(1000.5, abs=1e-3) for event in again.events)
    assert again.resume is not None
    assert again.resume == msgspec.structs.replace(point, at=again.resume.at)
    assert (progress.take_notice(), again.take_notice()) == ("", "")


def test_a_first_start_writes_nothing_and_says_nothing(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path / "a" / "b")
    assert (progress.events, progress.resume, progress.take_notice()) == ((), None, "")
    assert not progress.path.exists()


def test_the_directory_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_HOLES_STATE", str(tmp_path / "own"))
    assert Progress.open().path == tmp_path / "own" / FILE
    monkeypatch.delenv("LLM_HOLES_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert Progress.open().path == tmp_path / "xdg" / "llm-holes" / FILE


def test_only_the_learner_can_read_it(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path / "state")
    progress.record(answered())
    assert progress.path.stat().st_mode & 0o077 == 0
    assert progress.path.parent.stat().st_mode & 0o077 == 0


def test_a_clock_that_is_set_back_does_not_change_the_order(tmp_path: Path) -> None:
    times = iter([1000.0, 1000.0, 999.0, 980.0])
    progress = Progress.open(tmp_path, lambda: next(times))
    made = [progress.record(answered(str(number))) for number in range(4)]
    assert list(Progress.open(tmp_path).events) == made


def test_that_a_lesson_was_read_or_run_is_kept_once(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path)
    for event in (
        Read(lesson="tokens"),
        Ran(lesson="tokens"),
        Read(lesson="tokens"),
        Ran(lesson="tokens"),
        Read(lesson="x"),
    ):
        progress.record(event)
    assert len(progress.events) == 3


def test_a_lesson_goes_from_unseen_to_read_to_run_to_passed(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path)
    steps: list[Event] = [Read(lesson="tokens"), Ran(lesson="tokens"), *map(answered, QUIZ)]
    found = [progress.lesson(TOKENS).status]
    for step in steps:
        progress.record(step)
        found.append(progress.lesson(TOKENS).status)
    assert found == ["unseen", "read", *["run"] * len(QUIZ), "passed"]
    progress.record(answered(QUIZ[0], right=False))
    assert progress.lesson(TOKENS).status == "passed"


def test_an_expert_passes_by_the_quiz_alone_and_a_guess_is_not_enough(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path)
    for question in QUIZ:
        progress.record(answered(question, right=False))
    assert progress.lesson(TOKENS).status == "read"
    for question in QUIZ:
        progress.record(answered(question))
    assert progress.lesson(TOKENS).status == "passed"
    totals = progress.totals(LESSONS)
    assert (totals.passed, totals.run, totals.read) == (1, 1, 1)
    assert totals.lessons == sum(lesson.dug for lesson in LESSONS.lessons.values())
    assert [(t.tier, t.passed) for t in totals.tiers if t.passed] == [(1, 1)]
    assert sum(tier.lessons for tier in totals.tiers) == totals.lessons


def test_a_prediction_is_pending_until_it_is_graded_or_replaced(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path, now=itertools.count(1000).__next__)
    first = progress.record(predicted())
    # as after a kill in the middle of the run
    assert Progress.open(tmp_path).lesson(TOKENS).pending == first
    outcome = progress.record(Graded(lesson="tokens", prediction=first.id, was="5.1", right=True))
    state = progress.lesson(TOKENS)
    assert (state.pending, state.outcomes) == (None, ((first, outcome),))
    second = progress.record(predicted())
    assert progress.lesson(TOKENS).pending == second
    progress.record(Skipped(lesson="tokens"))
    state = progress.lesson(TOKENS)
    assert (state.pending, state.skipped) == (None, True)
    progress.record(predicted())
    assert progress.lesson(TOKENS).skipped is False


def test_hints_and_the_latest_answer_are_remembered(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path, now=itertools.count(1000).__next__)
    for count in (1, 2, 1):
        progress.record(Hinted(lesson="tokens", question=QUIZ[0], count=count))
    progress.record(answered(right=True))
    last = progress.record(answered(right=False))
    state = progress.lesson(TOKENS)
    assert state.hints == {QUIZ[0]: 2}
    assert state.answers == {QUIZ[0]: last}
    assert state.right_once == {QUIZ[0]}


def test_two_open_instances_see_each_others_events(tmp_path: Path) -> None:
    one, two = Progress.open(tmp_path), Progress.open(tmp_path)
    one.record(answered(QUIZ[0]))
    two.record(answered(QUIZ[1]))
    one.save()
    assert len(one.events) == len(two.events) == 2
    assert one.events == two.events


def test_the_later_resume_point_wins_whoever_saves_last(tmp_path: Path) -> None:
    one, two = Progress.open(tmp_path, lambda: 2000), Progress.open(tmp_path, lambda: 1000)
    one.leave_at(Resume(lesson="attention"))
    two.leave_at(Resume(lesson="tokens"))
    again = Progress.open(tmp_path).resume
    assert again is not None
    assert again.lesson == "attention"


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
    newer = b'{"format": "llm-holes progress", "version": 2, "what": "nobody knows yet"}'
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


def test_text_that_json_cannot_hold_is_refused_alone(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path)
    progress.leave_at(Resume(lesson="tokens", settings={"text": "\ud800"}))
    assert "could not be recorded" in progress.take_notice()
    progress.record(answered())
    assert len(Progress.open(tmp_path).events) == 1


def test_an_export_is_imported_elsewhere_and_only_once(tmp_path: Path) -> None:
    here, there = Progress.open(tmp_path / "here"), Progress.open(tmp_path / "there")
    for event in (Read(lesson="tokens"), predicted(), answered(confidence=90)):
        here.record(event)
    here.leave_at(Resume(lesson="tokens", scroll={"page": 3}))
    own = there.record(Ran(lesson="attention"))
    data = here.export()
    assert there.import_(data) == 3
    assert there.import_(data) == 0
    assert [event for event in there.events if event != own] == list(here.events)
    assert there.resume == here.resume
    assert json.loads(data)["format"] == "llm-holes progress"


@pytest.mark.parametrize("data", [value for value in DAMAGE.values() if value is not None])
def test_an_import_of_something_else_is_refused_and_changes_nothing(tmp_path: Path, data: bytes) -> None:
    progress = Progress.open(tmp_path)
    progress.record(answered())
    before = progress.export()
    with pytest.raises(ForeignFile):
        progress.import_(data)
    assert progress.export() == before


@pytest.fixture
def learned(tmp_path: Path) -> Progress:
    """Somebody who has answered 2,000 questions."""
    progress = Progress.open(tmp_path)
    rows = [
        f'{{"type":"answered","lesson":"tokens","id":"{n}","at":{n + 1},"question":"{"q" * 80}","option":1,"said":"b",'
        '"right":true}'
        for n in range(2000)
    ]
    head = '{"format":"llm-holes progress","version":1,"events":['
    progress.import_((head + ",".join(rows) + "]}").encode())
    return progress


def test_recording_is_quick_enough_for_a_key_press(learned: Progress) -> None:
    times = []
    for _ in range(20):
        start = time.perf_counter()
        learned.record(answered())
        times.append(time.perf_counter() - start)
    # the best of twenty: what the machine does besides is not what is measured
    assert min(times) < 0.02
