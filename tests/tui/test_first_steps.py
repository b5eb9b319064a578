"""What a first-time learner needs is on the screen: how to read on, how to leave a control, what is not drawn."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from llm_holes.engine.frames import Bars, Frame, Text
from llm_holes.lessons.catalog.catalog import Catalog, load
from llm_holes.lessons.catalog.search import find
from llm_holes.tui.app import HolesApp
from llm_holes.tui.screens.welcome import WelcomeScreen
from llm_holes.tui.views import widgets
from llm_holes.tui.views.plain import TextView, UnknownView
from llm_holes.tui.widgets.dial import Stepper
from llm_holes.tui.widgets.lines import GAP, KeyBar
from llm_holes.tui.widgets.text_field import TextField
from tests.support.app import OpenApp, settle, until
from tests.support.fake_link import FakeEngine


async def test_the_way_on_is_on_the_screen_from_the_first_moment(open_app: OpenApp) -> None:
    async with open_app(size=(80, 24)) as (app, pilot):
        await settle(pilot)
        keys = [entry[:2] for entry in app.query_one(KeyBar).fitting()]
        assert {("space", "next step"), ("esc", "map"), ("?", "all keys"), ("q", "quit")} <= set(keys)
        assert "space goes on" in app.main.hint.text


async def test_the_way_out_of_a_dial_is_a_shown_key_and_can_be_clicked(open_app: OpenApp) -> None:
    async with open_app("attention", (80, 24)) as (app, pilot):
        app.query(Stepper).first().focus()
        await settle(pilot)
        before = app.focused
        bar = app.query_one(KeyBar)
        labels = [label for _, label, _ in bar.fitting()]
        assert {"next", "all keys", "quit"} <= set(labels)
        shown = bar.fitting()[: labels.index("next")]
        await pilot.click(bar, offset=(1 + sum(len(key) + 1 + len(label) + GAP for key, label, _ in shown), 0))
        await settle(pilot)
        assert app.focused is not before
        app.query_one(TextField).focus()
        await settle(pilot)
        keys = [entry[:2] for entry in bar.fitting()]
        assert ("esc", "leave") in keys
        assert not {"quit", "search", "next step"} & {label for _, label in keys}, "these would be typed"
        await pilot.press("tab")
        await settle(pilot)
        assert not isinstance(app.focused, TextField)


async def test_a_view_without_a_drawing_leaves_the_rest_in_sight(
    open_app: OpenApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(widgets.WIDGETS, Bars)
    frame = Frame(
        "done",
        (Bars("what comes next", (" Paris",), (0.6,), key="first"), Text("answer", "Paris", key="second")),
        {"tokens": 1},
    )
    engine.frames = {"tokens": [frame, frame]}
    async with open_app() as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await settle(pilot)
        drawn = app.query_one(UnknownView).layout_rows(200)
        assert "what comes next" in drawn[0][0].text
        assert "no drawing for a Bars" in drawn[1][-1].text
        await pilot.press("space", "s")
        await until(pilot, lambda: app.query(TextView))
        assert app.query_one(TextView).view.text == "Paris"


def test_no_lesson_is_found_by_the_name_of_a_number_that_is_filled_in_later() -> None:
    catalog = load()
    assert any("{measured." in lesson.body for lesson in catalog.lessons.values())
    assert [hit.where for hit in find(catalog, "the") if "{" in hit.where] == []
    assert find(catalog, "measured.prefill_ms") == []


def test_a_lesson_is_found_by_its_name_on_the_map() -> None:
    for lesson in load().lessons.values():
        first = [hit.lesson.id for hit in find(load(), lesson.short)][:4]
        assert lesson.id in first, (lesson.short, first)


async def test_a_new_learner_is_greeted_with_what_the_machine_does_and_enter_begins(
    engine: FakeEngine, catalog: Catalog
) -> None:
    engine.manual = True
    app = HolesApp([], None, link=engine.link, catalog=catalog, clock=lambda: 0.0, greet=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, WelcomeScreen)
        shown = str(app.screen.query_one("#card", Static).render())
        assert "7 lessons" in shown.replace("\n", " ") or "lessons that look" in shown
        assert "space" in shown
        engine.ready()
        await settle(pilot)
        assert "ready" in str(app.screen.query_one("#card", Static).render())
        await pilot.press("enter")
        await settle(pilot)
        assert app.screen is app.main
    app = HolesApp([], None, link=engine.link, catalog=catalog, clock=lambda: 0.0, greet=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert app.screen is app.main, "who comes back is told in a line"
        assert any(note.title == "welcome back" for note in app._notifications)
