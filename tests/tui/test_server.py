"""The app on a model behind an API: what it leaves unasked and unsaid, and the way to the local model."""

from __future__ import annotations

import pytest
from msgspec import structs

from llm_holes.engine.frames import Frame, Text
from llm_holes.engine.ipc.messages import Ready
from llm_holes.tui.app import HolesApp
from llm_holes.tui.widgets.lines import KeyBar
from tests.support.app import OpenApp, press, said_in, settle
from tests.support.fake_engine import MODEL
from tests.support.fake_link import FakeEngine

SERVED = structs.replace(MODEL, n_layers=0, d_vocab=0, dtype="", threads=0, device="host", shows={})


def footer(app: HolesApp) -> list[tuple[str, str]]:
    """Keys and labels, as far as they fit."""
    return [entry[:2] for entry in app.query_one(KeyBar).fitting()]


async def test_a_bet_that_no_run_here_decides_is_not_asked_and_no_sentence_has_a_gap(
    open_app: OpenApp, engine: FakeEngine
) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.say(Ready(SERVED))
        await settle(pilot)
        await press(pilot, "space")
        assert app.main.result.form.question is None
        assert "Fake-1M · host" in str(app.main.status.render())
        await press(pilot, "r")
        engine.frame(Frame("An API does not show it.", (Text("it", "An API does not show it.", key="count"),)))
        engine.finish()
        await settle(pilot)
        assert "…" not in said_in(app.main.words)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_where_a_picture_is_not_to_be_had_the_key_to_the_local_model_is_in_the_footer(
    open_app: OpenApp, engine: FakeEngine, size: tuple[int, int]
) -> None:
    engine.manual = True
    async with open_app(size=size) as (app, pilot):
        app.main._engines = (("served",), ("local",))
        lesson = app.main.lesson
        assert lesson is not None
        first, second = lesson.steps[0].view, lesson.steps[1].view
        engine.say(Ready(structs.replace(SERVED, shows={lesson.id: [first]})))
        await settle(pilot)
        assert ("E", "local model") not in footer(app)
        await press(pilot, "space")
        assert app.main.stage.tabs.current == second != first
        assert footer(app)[1] == ("E", "local model")
        await press(pilot, "E")
        engine.say(Ready(MODEL))
        await settle(pilot)
        assert ("E", "server") in footer(app)
        await press(pilot, "backspace")
        assert ("E", "server") in footer(app)


async def test_a_key_leads_to_the_other_engine_with_the_same_lesson_and_back(
    open_app: OpenApp, engine: FakeEngine
) -> None:
    async with open_app() as (app, pilot):
        assert app.main.check_action("other_engine", ()) is False
        app.main._engines = (("served",), ("local",))
        await press(pilot, "E")
        assert engine.used == ("local",)
        assert engine.starts == 2
        assert app.main.session.engine.phase == "ready"
        await press(pilot, "E")
        assert engine.used == ("served",)
