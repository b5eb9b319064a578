"""Walking on a time line, in a cache and along a race of ranks."""

from __future__ import annotations

from msgspec import structs

from llm_holes.engine.frames import Timeline, View
from llm_holes.tui.views.walk import WalkView
from llm_holes.tui.views.widgets import widget_for
from tests.support.app import OpenApp
from tests.support.example_views import CACHE_GRID, RANK_RACE, TIMELINE


async def test_arrows_go_from_place_to_place_and_stay_inside(open_app: OpenApp) -> None:
    said: dict[View, tuple[str, str]] = {
        TIMELINE: (
            "long: token · 54 ms from 1.8 s on · 2.9 % of 1.9 s",
            "short: prefill 39 tokens · 340 ms from 0 ms on",
        ),
        CACHE_GRID: ("step 1 · token 12 ·He · empty", "step 0 · token 1 The · written now"),
        RANK_RACE: ("B ·It · step 8: <end> · rank 3 · 1 before", "A <end> · step 1: The · rank 31,000"),
    }
    async with open_app() as (app, pilot):
        for view, (last, first) in said.items():
            widget = widget_for(view)
            assert isinstance(widget, WalkView)
            await app.screen.mount(widget)
            widget.focus()
            await pilot.press("up", "left", "down", "end", "right")
            assert widget.describe() == last
            assert widget.cursor_region().width > 0
            await pilot.press("home", "up", "up")
            assert widget.describe().startswith(first)
            await widget.remove()


async def test_what_is_said_at_the_cursor_is_said_of_the_newest_picture(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        widget = widget_for(TIMELINE)
        await app.screen.mount(widget)
        widget.focus()
        await pilot.pause()
        before = app.main.hint.text
        first = TIMELINE.rows[0]
        assert isinstance(widget.view, Timeline)
        widget.view = structs.replace(TIMELINE, rows=(structs.replace(first, name="anew"), *TIMELINE.rows[1:]))
        await pilot.pause()
        assert before.startswith("short: prefill")
        assert app.main.hint.text == before.replace("short", "anew")
