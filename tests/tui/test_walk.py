"""Every lesson walked with one key: at each step its words, its picture and its dials are in sight together.

`space` goes on; where a bet is open, `s` passes it by, since otherwise its picture stays closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from llm_holes.lessons.catalog import catalog
from llm_holes.tui.app import HolesApp
from llm_holes.tui.screens import lesson as lesson_screen
from llm_holes.tui.screens.end import EndScreen
from llm_holes.tui.views.base import ViewWidget
from llm_holes.tui.widgets.text_field import TextField
from tests.support.app import press, said_in, settle, until
from tests.support.fake_link import FakeEngine, recording
from tests.support.paths import RECORDINGS
from tests.support.pictures import MIDDLE, SMALL, WIDE

ROWS = {SMALL: 8, MIDDLE: 10}
"""How many rows of a picture are in sight at least, if it has that many."""
E_NOTATION = re.compile(r"\d(\.\d+)?e[+-]?\d")


def rows(app: HolesApp) -> list[str]:
    return ["".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips()]


def scrolling(app: HolesApp) -> Iterator[Widget]:
    """What hides a part of itself, but for the picture and the map."""
    for widget in app.screen.walk_children(Widget):
        # a text that is not edited is one row, cut with …
        own = widget in (app.main.stage.picture, app.main.holes) or isinstance(widget, TextField)
        if widget.max_scroll_y > 0 and widget.region and not own:
            yield widget


def whole(app: HolesApp, widget: Widget) -> bool:
    """Whether all of the widget is in sight."""
    visible, region = app.screen.find_widget(widget).visible_region, widget.region
    return bool(region) and visible.size == region.size and app.screen.region.contains_region(region)


def assert_in_sight(app: HolesApp, need: int) -> None:
    main = app.main
    shown = "\n".join(rows(app))
    assert whole(app, main.words), "the step's words"
    assert main.words.size.height >= len(said_in(main.words).splitlines())
    assert "…" not in said_in(main.words)
    for widget in main.dials.children:
        assert not widget.display or whole(app, widget), f"the dial {widget}"
    (view,) = [widget for widget in main.stage.picture.query(ViewWidget) if widget.display]
    seen = app.screen.find_widget(view).visible_region.height
    total = view.row_count(view.size.width)
    assert seen >= min(need, total), f"{seen} of {total} rows of {main.stage.tabs.current}"
    assert not E_NOTATION.search(shown)
    assert list(scrolling(app)) == []


async def arrive(app: HolesApp, pilot: Pilot[None]) -> None:
    """Waits until the step has run, or asks."""
    await until(pilot, lambda: app.main.result.form.question is not None or app.main.words.measured is not None)
    await settle(pilot)


EVERY_SIZE = [(name, size) for size in (SMALL, MIDDLE) for name in catalog.load().lessons]
SOME_MORE = [(name, size) for size in ((100, 30), WIDE, (200, 60)) for name in ("attention", "memory", "kv-cache")]


@pytest.mark.parametrize(("name", "size"), [*EVERY_SIZE, *SOME_MORE], ids=str)
async def test_words_picture_and_dials_are_in_sight_together_at_each_step(
    name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson_screen, "STEP_RUNS_AFTER", 0.01)
    engine = FakeEngine({name: recording(RECORDINGS / f"{name}.msgpack")})
    app = HolesApp([], name, link=engine.link, clock=lambda: 0.0)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for step in app.main.catalog[name].steps:
            await arrive(app, pilot)
            if app.main.result.form.question is not None:
                assert whole(app, app.main.result.form), "the bet"
                assert whole(app, app.main.words)
                assert not app.main.stage.shown
                assert list(scrolling(app)) == []
                await press(pilot, "s")
                await arrive(app, pilot)
            assert app.main.stage.tabs.current == step.view
            assert_in_sight(app, ROWS.get(size, 10))
            await press(pilot, "space")
        assert isinstance(app.screen, EndScreen)


async def test_a_step_without_a_bet_runs_by_itself_and_equal_settings_share_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lesson_screen, "STEP_RUNS_AFTER", 0.01)
    lesson = catalog.load()["vectors"]
    engine = FakeEngine({lesson.id: recording(RECORDINGS / f"{lesson.id}.msgpack")})
    app = HolesApp([], lesson.id, link=engine.link, clock=lambda: 0.0)
    async with app.run_test(size=MIDDLE) as pilot:
        await settle(pilot)
        for _ in lesson.steps:
            await arrive(app, pilot)
            if app.main.result.form.question is not None:
                await press(pilot, "s")
                await arrive(app, pilot)
            await press(pilot, "space")
    kinds = {msgspec.json.encode(run.settings, order="sorted") for run in engine.runs}
    assert len(engine.runs) <= len(kinds) + len(lesson.data.bets), "only what decides a bet is run anew"
