"""Each kind of view can be shown in all three ways; a new one fails here until it can, and until a lesson uses it."""

from __future__ import annotations

from functools import cache
from html import unescape
from typing import get_args

from llm_holes.engine.frames import View
from llm_holes.tui.draw.as_svg import view_svg
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.views.plain import UnknownView
from llm_holes.tui.views.widgets import WIDGETS, widget_for
from tests.support.app import OpenApp
from tests.support.example_views import EXAMPLES
from tests.support.fake_link import recorded
from tests.support.paths import RECORDINGS

KINDS: tuple[type[View], ...] = get_args(View)
WIDTH = 80


@cache
def examples() -> dict[type[View], View]:
    """One view of each kind: those that a lesson was recorded with, before them the made ones."""
    found: dict[type[View], View] = {type(view): view for view in EXAMPLES}
    for path in sorted(RECORDINGS.glob("*.msgpack")):
        found |= {type(view): view for frame in recorded(path) for view in frame.views}
    return found


async def test_a_view_has_a_widget_a_plain_form_and_an_svg_form(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        for kind in KINDS:
            view = examples()[kind]
            title = view.title.split()[0]
            assert title in view_text(view, WIDTH)
            assert title in unescape(view_svg(view, WIDTH))
            widget = widget_for(view)
            assert not isinstance(widget, UnknownView)
            await app.screen.mount(widget)
            await pilot.pause()
            assert title in plain(widget.row(0, WIDTH))


def test_there_is_no_widget_for_what_is_no_view() -> None:
    assert set(WIDGETS) == set(KINDS)
