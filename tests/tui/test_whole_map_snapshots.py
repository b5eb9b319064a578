"""The whole screen with all holes on the map, unfolded, as a learner sees it who looks around."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from llm_holes.tui.app import HolesApp
from llm_holes.tui.widgets.lesson_tree import LessonTree
from tests.support.app import settle
from tests.support.fake_link import FakeEngine, recording
from tests.support.paths import RECORDINGS
from tests.support.pictures import MIDDLE, SMALL, WIDE, Compare, after

LESSON = "attention"


@pytest.mark.parametrize("size", [SMALL, MIDDLE, WIDE], ids=str)
def test_all_holes_are_on_the_map(snap_compare: Compare, size: tuple[int, int]) -> None:
    """You should see the map unfolded, each hole under the one it leads down from, attention marked as run and as the
    one on the page; from 100 columns on all 32 with the game under them, and what the run measured beside them."""
    engine = FakeEngine({LESSON: recording(RECORDINGS / f"{LESSON}.msgpack")})
    app = HolesApp([], LESSON, link=engine.link, clock=lambda: 0.0)

    async def run_before(pilot: Pilot[None]) -> None:
        await after("run")(pilot)
        await pilot.press("escape")
        app.screen.query_one(LessonTree).root.expand_all()
        await settle(pilot)

    assert snap_compare(app, terminal_size=size, run_before=run_before)


@pytest.mark.parametrize("size", [MIDDLE, WIDE], ids=str)
async def test_no_title_on_the_map_is_cut(size: tuple[int, int]) -> None:
    app = HolesApp([], LESSON, link=FakeEngine({}).link, clock=lambda: 0.0)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        tree = app.screen.query_one(LessonTree)
        tree.root.expand_all()
        await settle(pilot)
        shown = [strip.text for strip in map(tree.render_line, range(tree.size.height))]
        for lesson in app.main.catalog.lessons.values():
            assert any(f" {lesson.short} " in line for line in shown), lesson.short
