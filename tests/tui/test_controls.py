"""The controls: stepping, typing, choosing, switching, writing."""

from __future__ import annotations

import pytest

from llm_holes.lessons.catalog.schema import Control
from llm_holes.tui.widgets.dial import Choice, Stepper, Switch
from llm_holes.tui.widgets.lines import HintLine
from llm_holes.tui.widgets.text_field import TextField
from tests.support.app import OpenApp, done, press, settle, until
from tests.support.fake_link import FakeEngine
from tests.support.timers import Timers


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["right"], 136),
        (["left", "left"], 112),
        (["shift+right"], 208),
        (["shift+right", "shift+right"], 256),
        (["shift+left", "shift+left"], 1),
        (["4", "2"], 42),
        (["3", "0", "0"], 30),
        (["9", "backspace", "7"], 7),
        (["0"], 128),
        (["x", "minus"], 128),
    ],
)
async def test_stepper(open_app: OpenApp, keys: list[str], value: int) -> None:
    async with open_app("kv-cache") as (app, pilot):
        stepper = app.query(Stepper).first()
        stepper.focus()
        await pilot.press(*keys)
        await settle(pilot)
        assert stepper.value == value


async def test_decimals_are_typed_and_stepped(open_app: OpenApp) -> None:
    async with open_app("kv-cache") as (app, pilot):
        stepper = app.query(Stepper).last()
        stepper.focus()
        await pilot.press("1", "full_stop", "2", "5")
        await settle(pilot)
        assert stepper.value == 1.25
        await pilot.press("right", "right", "left")
        assert stepper.value == pytest.approx(1.35)


async def test_layers_and_heads_get_their_range_from_the_model(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app("attention") as (app, pilot):
        layer = app.query(Stepper).first()
        layer.focus()
        await pilot.press("5", "0")
        await settle(pilot)
        assert layer.value == 50
        engine.ready()
        await settle(pilot)
        assert layer.value == 29
        assert layer.range_text() == "0–29"
        await pilot.press("r")
        await until(pilot, lambda: engine.runs)
        assert engine.runs[-1].settings["layer"] == 29


async def test_choice_goes_round(open_app: OpenApp) -> None:
    async with open_app("kv-cache") as (app, pilot):
        choice = app.query_one(Choice)
        choice.focus()
        await pilot.press("right")
        assert choice.value == "on"
        await pilot.press("h", "left")
        assert choice.value == "off"


async def test_switch(open_app: OpenApp) -> None:
    async with open_app("kv-cache") as (app, pilot):
        switch = app.query_one(Switch)
        switch.focus()
        await pilot.press("right")
        assert switch.value is False
        assert "exact [ ]" in str(switch.render())
        await pilot.press("left")
        assert switch.value is True


async def test_the_focused_control_explains_itself(open_app: OpenApp) -> None:
    async with open_app("kv-cache", (80, 24)) as (app, pilot):
        app.query(Stepper).first().focus()
        await settle(pilot)
        assert app.query_one(HintLine).text == "new tokens · 1–256 · How many tokens to generate."


async def test_enter_runs_and_ctrl_j_breaks_the_line(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        field = app.query_one(TextField)
        field.focus()
        field.text = ""
        await pilot.press("q", "ctrl+j", "r", "enter")
        await until(pilot, lambda: engine.runs)
        assert engine.runs[-1].settings["text"] == "q\nr"


async def test_tab_leaves_the_text(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        app.query_one(TextField).focus()
        await pilot.press("tab")
        assert app.focused is app.main.dials.presets


async def test_typing_runs_by_itself_after_a_pause(
    open_app: OpenApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        timers = Timers()
        timers.hold(monkeypatch)
        field = app.query_one(TextField)
        field.focus()
        field.text = ""
        await press(pilot, *"cat")
        assert len(engine.runs) == 1
        timers.fire()
        await until(pilot, lambda: len(engine.runs) > 1)
        assert [run.settings["text"] for run in engine.runs[1:]] == ["cat"]


def test_a_number_without_known_range_can_be_any() -> None:
    stepper = Stepper(Control("n", "layer", "layer", "help", 3), 3)
    assert stepper._could_be("999")
    assert not stepper._could_be("-1") or stepper.low is None
    assert not stepper._could_be("1_0")
