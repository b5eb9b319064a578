"""What is written when: the disk is never in the way, and nothing is written twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from llm_holes.lessons.learner.events import Read, Resume
from llm_holes.lessons.learner.learner import Learner
from llm_holes.lessons.learner.progress import Progress
from llm_holes.tui.services.saving import Saving


def test_soon_hands_the_work_to_a_thread_and_place_only_what_has_changed(tmp_path: Path) -> None:
    learner, waiting, told = Learner(), list[Callable[[], None]](), list[int]()
    learner.open(tmp_path)
    points = [Resume(lesson="tokens", settings={}, pane="lesson")]
    saving = Saving(lambda: learner, lambda: points[-1], waiting.append, lambda: told.append(1))
    learner.record(Read(lesson="tokens"))
    saving.soon()
    assert Progress.open(tmp_path).events == ()
    waiting.pop()()
    assert [event.lesson for event in Progress.open(tmp_path).events] == ["tokens"]
    assert told == [1]
    saving.place()
    assert waiting == []
    points.append(Resume(lesson="attention", settings={}, pane="live"))
    saving.place()
    waiting.pop()()
    resume = Progress.open(tmp_path).resume
    assert resume is not None
    assert resume.lesson == "attention"


def test_now_writes_before_it_returns(tmp_path: Path) -> None:
    learner = Learner()
    learner.open(tmp_path)
    learner.record(Read(lesson="tokens"))
    Saving(lambda: learner, lambda: None, lambda work: None, lambda: None).now()
    assert len(Progress.open(tmp_path).events) == 1
