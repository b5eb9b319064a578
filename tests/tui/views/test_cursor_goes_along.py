"""The cursor of a map that comes again, as another run draws it."""

from __future__ import annotations

import numpy as np

from llm_holes.engine.frames import Array, Frame, Heatmap
from llm_holes.tui.views.heatmap import HeatmapView
from tests.support.app import OpenApp, press, settle, until
from tests.support.fake_link import FakeEngine


def square(row: int, column: int) -> Heatmap:
    return Heatmap("a map", Array.of(np.zeros((9, 9), np.float32)), cursor=(row, column))


async def test_a_cursor_nobody_moved_goes_where_the_new_map_has_it_and_another_stays(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        widget = HeatmapView(square(8, 3))
        await app.screen.mount(widget)
        widget.focus()
        widget.view = square(8, 5)
        assert widget.cursor == (8, 5)
        assert "5" in widget.describe()
        await pilot.press("up")
        widget.view = square(8, 2)
        assert widget.cursor == (7, 5)


async def test_a_tall_map_is_scrolled_to_its_cursor_and_no_farther_whatever_had_the_focus(
    open_app: OpenApp, engine: FakeEngine
) -> None:
    tall = Heatmap("a map", Array.of(np.zeros((100, 9), np.float32)), cursor=(80, 3), key="tall")
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "r")
        engine.frame(Frame("tall", (tall,), {}))
        engine.finish()
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await settle(pilot)
        picture = app.main.stage.picture
        widget = picture.target
        assert isinstance(widget, HeatmapView)
        last_in_sight = widget.cursor_region().y + 1 - picture.scrollable_content_region.height
        assert picture.scroll_y == last_in_sight > 0
        app.screen.set_focus(None)
        widget.focus()
        await settle(pilot)
        assert picture.scroll_y == last_in_sight
