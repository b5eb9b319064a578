"""The lessons as a learner sees them, drawn from frames recorded on the real model.

`python scripts/record_frames.py` makes the recordings; look at the pictures before accepting a changed one.
"""

from __future__ import annotations

import pytest

from llm_holes.lessons.catalog import catalog
from llm_holes.tui.app import HolesApp
from tests.support.fake_link import FakeEngine, recorded
from tests.support.paths import RECORDINGS
from tests.support.pictures import MIDDLE, SMALL, WIDE, Compare, after

LESSONS = sorted(path.stem for path in RECORDINGS.glob("*.msgpack"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_after_its_run(snap_compare: Compare, lesson: str, size: tuple[int, int]) -> None:
    """You should see the lesson's controls, one line of measured values in the measured colour, and its first views."""
    engine = FakeEngine({lesson: recorded(RECORDINGS / f"{lesson}.msgpack")})
    app = HolesApp([], lesson, link=engine.link, clock=lambda: 0.0)
    assert snap_compare(app, terminal_size=size, run_before=after("3", "r", "skip"))


def tokens_app() -> HolesApp:
    engine = FakeEngine({"tokens": recorded(RECORDINGS / "tokens.msgpack")})
    return HolesApp([], "tokens", link=engine.link, clock=lambda: 0.0)


@pytest.mark.parametrize("size", [SMALL, MIDDLE, WIDE], ids=str)
def test_the_question(snap_compare: Compare, size: tuple[int, int]) -> None:
    """You should see a framed question with three answers, the second one chosen, 80 % sure, and the keys to use."""
    assert snap_compare(tokens_app(), terminal_size=size, run_before=after("r", "2", "right"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_the_verdict(snap_compare: Compare, size: tuple[int, int]) -> None:
    """You should see what was said beside what was measured, in the measured colour, and both reasons under it."""
    assert snap_compare(tokens_app(), terminal_size=size, run_before=after("r", "1", "commit"))


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_to_read(snap_compare: Compare, lesson: str) -> None:
    """You should see the trail to the lesson, the lit stages, the objective, and its text with … where unknown."""
    app = HolesApp([], lesson, link=FakeEngine({}).link, clock=lambda: 0.0)
    assert snap_compare(app, terminal_size=SMALL, run_before=after("2"))


@pytest.mark.parametrize("lesson", LESSONS)
def test_recordings_are_of_the_lessons_as_they_are(lesson: str) -> None:
    assert set(recorded(RECORDINGS / f"{lesson}.msgpack")[-1].measured) == set(catalog.load()[lesson].data.publishes)
