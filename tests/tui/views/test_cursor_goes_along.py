"""The cursor of a map that comes again, as another run draws it."""

from __future__ import annotations

import numpy as np

from llm_holes.engine.frames import Array, Heatmap
from llm_holes.tui.views.heatmap import HeatmapView
from tests.support.app import OpenApp


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
