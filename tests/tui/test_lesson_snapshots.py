"""The lessons as a learner sees them, drawn from frames recorded on the real model.

`python scripts/record_frames.py` makes the recordings; look at the pictures before accepting a changed one.
"""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from llm_holes.lessons.catalog import catalog
from llm_holes.tui.app import HolesApp
from tests.support.app import settle
from tests.support.fake_link import FakeEngine, recorded, recording
from tests.support.paths import RECORDINGS
from tests.support.pictures import MIDDLE, SMALL, WIDE, Before, Compare, after

LESSONS = sorted(path.stem for path in RECORDINGS.glob("*.msgpack"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_after_its_run(snap_compare: Compare, lesson: str, size: tuple[int, int]) -> None:
    """You should see the first step's words, its picture, what was measured, and the main dials."""
    engine = FakeEngine({lesson: recording(RECORDINGS / f"{lesson}.msgpack")})
    app = HolesApp([], lesson, link=engine.link, clock=lambda: 0.0)
    assert snap_compare(
        app, terminal_size=size, run_before=after("run" if app.main.catalog[lesson].steps[0].bet is None else "skip")
    )


def tokens_app() -> HolesApp:
    engine = FakeEngine({"tokens": recording(RECORDINGS / "tokens.msgpack")})
    return HolesApp([], "tokens", link=engine.link, clock=lambda: 0.0)


def to_the_bet(*keys: str) -> Before:
    """Walks to the first bet, and presses the keys."""

    async def run_before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, HolesApp)
        await settle(pilot)
        while app.main.result.form.question is None:
            await pilot.press("space")
            await settle(pilot)
        await after(*keys)(pilot)

    return run_before


@pytest.mark.parametrize("size", [SMALL, MIDDLE, WIDE], ids=str)
def test_the_question(snap_compare: Compare, size: tuple[int, int]) -> None:
    """You should see empty axes, and below them a question with its answers, the second chosen, 80 % sure, and keys."""
    assert snap_compare(tokens_app(), terminal_size=size, run_before=to_the_bet("2", "right"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_the_verdict(snap_compare: Compare, size: tuple[int, int]) -> None:
    """You should see the picture, and below it what was said beside what was measured, in the measured colour."""
    assert snap_compare(tokens_app(), terminal_size=size, run_before=to_the_bet("1", "commit"))


@pytest.mark.parametrize("lesson", LESSONS)
def test_recordings_are_of_the_lessons_as_they_are(lesson: str) -> None:
    assert set(recorded(RECORDINGS / f"{lesson}.msgpack")[-1].measured) == set(catalog.load()[lesson].data.publishes)
