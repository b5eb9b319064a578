"""Presets set the controls and run; settings stay with their lesson."""

from __future__ import annotations

from llm_holes.tui.app import HolesApp
from llm_holes.tui.widgets.dial import Switch
from llm_holes.tui.widgets.text_field import TextField
from tests.support.app import OpenApp, done, press, settle, until
from tests.support.fake_link import FakeEngine, recording
from tests.support.paths import RECORDINGS
from tests.support.pictures import MIDDLE


async def test_p_sets_presets_one_after_the_other(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "p", "p")
        await until(pilot, lambda: len(engine.runs) == 2)
        assert engine.runs[-1].settings["text"] == "strawberry [b]strawberry[/b]"
        field = app.query_one(TextField)
        assert field.text == "strawberry [b]strawberry[/b]"
        picker = app.main.dials.presets
        assert picker is not None
        assert "Where the folklore about" in picker.describe()
        field.insert("s")
        await settle(pilot)
        assert picker.chosen is None


async def test_a_preset_keeps_what_only_asks_for_the_picture_of_the_step() -> None:
    engine = FakeEngine({"mqa-gqa": recording(RECORDINGS / "mqa-gqa.msgpack")})
    app = HolesApp([], "mqa-gqa", link=engine.link, clock=lambda: 0.0)
    async with app.run_test(size=MIDDLE) as pilot:
        await settle(pilot)
        lesson = app.main.catalog["mqa-gqa"]
        app.main.enter(next(n for n, step in enumerate(lesson.steps) if step.view == "each layer alone"))
        await settle(pilot)
        before = len(engine.runs)
        await press(pilot, "p")
        await until(pilot, lambda: len(engine.runs) > before)
        assert engine.runs[-1].settings == lesson.defaults() | lesson.presets[0].settings | {"every_layer": True}


async def test_preset_list_explains_and_sets(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "P", "j", "enter")
        await done(app, pilot)
        assert engine.runs[-1].settings["text"] == "strawberry [b]strawberry[/b]"


async def test_settings_are_kept_when_the_learner_comes_back(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app("kv-cache") as (app, pilot):
        app.query_one(Switch).focus()
        await press(pilot, "right")
        app.main.open_lesson("tokens")
        await settle(pilot)
        app.main.open_lesson("kv-cache")
        await settle(pilot)
        assert app.query_one(Switch).value is False
