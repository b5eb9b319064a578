"""A fault of our own after a key is told and survived; one that comes again and again ends the app."""

from __future__ import annotations

import pytest
from textual.events import Key

from llm_holes.tui import faults
from llm_holes.tui.app import HolesApp
from llm_holes.tui.screens.help import HelpScreen
from llm_holes.tui.widgets.dial import Stepper
from tests.support.app import OpenApp, press, until


def fail(*_: object) -> None:
    raise RuntimeError("boom")


def surviving(app: HolesApp) -> list[str]:
    """The app goes on after faults; the list of those it met."""
    met: list[str] = []

    def log(error: BaseException) -> str:
        met.append(repr(error))
        return f"met {error!r}"

    app.log_fault = log
    return met


async def test_a_fault_in_an_action_is_told_and_the_next_key_works(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app() as (app, pilot):
        met = surviving(app)
        monkeypatch.setattr(app.main, "action_code", fail, raising=True)
        await press(pilot, "c")
        assert met == ["RuntimeError('boom')"]
        assert [notice.message for notice in app._notifications] == ["met RuntimeError('boom')"]
        await press(pilot, "question_mark")
        assert isinstance(app.screen, HelpScreen)


async def test_a_fault_in_a_widgets_own_key_is_survived_and_the_widget_goes_on(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app("attention") as (app, pilot):
        met = surviving(app)
        heard: list[Key] = []
        monkeypatch.setattr(Stepper, "on_key", fail)
        app.query(Stepper).first().focus()
        await press(pilot, "5")
        monkeypatch.setattr(Stepper, "on_key", lambda self, event: heard.append(event))
        await press(pilot, "6")
        assert met == ["RuntimeError('boom')"]
        assert [event.key for event in heard] == ["6"]


async def test_a_fault_in_what_runs_in_the_background_is_survived(open_app: OpenApp) -> None:
    async def work() -> None:
        fail()

    async with open_app() as (app, pilot):
        met = surviving(app)
        app.run_worker(work())
        await until(pilot, lambda: met)
        assert met == ["RuntimeError('boom')"]


async def test_faults_without_end_end_the_app(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async def again_and_again() -> None:
        async with open_app() as (app, pilot):
            surviving(app)
            monkeypatch.setattr(app.main, "action_code", fail)
            await press(pilot, *["c"] * faults.MOST)

    with pytest.raises(RuntimeError, match="boom"):
        await again_and_again()
