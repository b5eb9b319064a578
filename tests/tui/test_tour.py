"""The tour on the screen: walked by space, left with escape, with an end that says where to go on."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from llm_holes.engine.frames import Frame, Text
from llm_holes.engine.ipc import client
from llm_holes.lessons.catalog import catalog as lessons
from llm_holes.lessons.catalog import tour
from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.catalog.tour import Stop, step_of
from llm_holes.tui.app import HolesApp
from llm_holes.tui.cli import main as cli
from llm_holes.tui.screens import lesson as screen
from llm_holes.tui.screens.tour_end import TourEndScreen
from llm_holes.tui.screens.welcome import WelcomeScreen
from llm_holes.tui.terminal import terminal
from llm_holes.tui.widgets.lines import KeyBar
from tests.support.app import OpenApp, done, press, said_in, settle, until
from tests.support.fake_link import FakeEngine
from tests.support.paths import SUPPORT

REAL = tour.load
STOPS = (
    Stop("what-happens"),
    Stop("tokens", settings={"text": "one word"}),
    Stop("tokens", "second"),
    Stop("kv-cache"),
)


@pytest.fixture(autouse=True)
def short_tour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tour, "load", lambda: STOPS)


def touring(engine: FakeEngine, catalog: Catalog) -> HolesApp:
    return HolesApp([], link=engine.link, catalog=catalog, clock=lambda: 0.0, greet=True, tour=True)


def place(app: HolesApp) -> tuple[str, int, str]:
    """The lesson, its step from 1 on, and what the status line says of the tour."""
    assert app.main.lesson is not None
    said = str(app.main.status.render())
    return app.main.lesson.id, app.main.step + 1, said[said.find("tour") :].split(" · ")[0] if "tour" in said else ""


async def test_space_walks_from_lesson_to_lesson_and_backspace_back(engine: FakeEngine, catalog: Catalog) -> None:
    app = touring(engine, catalog)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert len(app.screen_stack) == 1, "who asked for the tour needs no welcome"
        assert place(app) == ("what-happens", 1, "tour 1 of 4")
        assert not app.main.check_action("step", (-1,))
        await press(pilot, "space")
        assert place(app) == ("tokens", 1, "tour 2 of 4")
        assert app.main.settings.of(catalog["tokens"])["text"] == "one word"
        await press(pilot, "space")
        assert place(app) == ("tokens", 2, "tour 3 of 4")
        await press(pilot, "space")
        assert place(app) == ("kv-cache", 1, "tour 4 of 4")
        await press(pilot, "backspace", "backspace", "backspace")
        assert place(app) == ("what-happens", 1, "tour 1 of 4")
        keys = [entry[:2] for entry in app.query_one(KeyBar).keys]
        assert {("space", "next stop"), ("esc", "leave the tour")} <= set(keys)


async def test_keys_pressed_at_once_reach_every_stop_in_turn(engine: FakeEngine, catalog: Catalog) -> None:
    app = touring(engine, catalog)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("space", "space", "space", "backspace")
        await settle(pilot)
        assert place(app) == ("tokens", 2, "tour 3 of 4")
        assert app.main.result.form.question is not None


async def test_a_bet_is_asked_before_its_picture_and_decided_as_ever(engine: FakeEngine, catalog: Catalog) -> None:
    app = touring(engine, catalog)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "space", "space")
        assert app.main.result.form.has_focus
        assert engine.runs == []
        await press(pilot, "9", "enter")
        await done(app, pilot)
        assert "You said 9" in str(app.main.result.verdict.render())
        assert app.main.stage.tabs.current == "second"
        await press(pilot, "space")
        assert place(app) == ("kv-cache", 1, "tour 4 of 4")


async def test_a_stop_without_a_bet_runs_by_itself(
    engine: FakeEngine, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "STEP_RUNS_AFTER", 0.01)
    app = touring(engine, catalog)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "space")
        await until(pilot, lambda: engine.runs and engine.runs[-1].settings == {"text": "one word"})


async def test_escape_leaves_it_and_the_lesson_stays_and_shift_t_goes_on(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "T", "space", "space", "escape")
        assert place(app) == ("tokens", 2, "")
        assert not app.main.has_class("-map")
        await press(pilot, "space")
        assert place(app) == ("tokens", 3, "")
        await press(pilot, "T")
        assert place(app) == ("tokens", 2, "tour 3 of 4")


async def test_who_opens_another_lesson_has_left_it(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "T", "space", "d")
        assert app.main.lesson is not None
        assert place(app) == ("embeddings", 1, "")


async def test_after_the_last_stop_a_card_says_where_to_go_on(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app(size=(80, 24)) as (app, pilot):
        await press(pilot, "T", "space", "space", "2", "enter")
        await done(app, pilot)
        await press(pilot, "space", "space")
        assert isinstance(app.screen, TourEndScreen)
        text = " ".join(str(app.screen.query_one("#card").render()).split())
        assert "3 lessons and made 1 bet, 0 right" in text
        assert "space walks the steps of “KV cache and what context costs”" in text
        await press(pilot, "backspace")
        assert place(app) == ("kv-cache", 1, "tour 4 of 4")
        await press(pilot, "space", "escape")
        assert place(app) == ("kv-cache", 1, "")
        await press(pilot, "space")
        assert place(app) == ("kv-cache", 2, "")
        await press(pilot, "T")
        assert place(app) == ("what-happens", 1, "tour 1 of 4")


async def test_enter_at_the_end_opens_the_first_lesson(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "T", "space", "space", "space", "space", "enter")
        assert place(app) == ("what-happens", 1, "")


async def test_t_in_the_welcome_begins_it(engine: FakeEngine, catalog: Catalog) -> None:
    app = HolesApp([], link=engine.link, catalog=catalog, clock=lambda: 0.0, greet=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, WelcomeScreen)
        await press(pilot, "t")
        assert place(app) == ("what-happens", 1, "tour 1 of 4")


async def test_the_command_opens_the_app_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Callable[[], HolesApp]] = []

    def run_app(make: Callable[[], HolesApp]) -> int:
        made.append(make)
        return 0

    monkeypatch.setattr(terminal, "run_app", run_app)
    monkeypatch.setattr(client, "command_for", lambda *_: [sys.executable, str(SUPPORT / "fake_engine.py")])
    assert cli.main(["tour"]) == 0
    app = made[0]()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.main.session.engine.phase == "ready", 20)
        await settle(pilot)
        assert place(app) == ("what-happens", 1, "tour 1 of 4")


def test_the_help_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "tour  " in capsys.readouterr().out


def shown(lesson: Lesson) -> Frame:
    """A frame with every view that some step shows."""
    keys = dict.fromkeys(step.view for step in lesson.steps)
    return Frame("done", tuple(Text(key, f"the picture called {key}", key=key) for key in keys), {})


async def test_the_real_tour_is_walked_with_space_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stop shows its step's words, and asks its bet or shows its picture."""
    monkeypatch.setattr(tour, "load", REAL)
    monkeypatch.setattr(screen, "STEP_RUNS_AFTER", 0.01)
    stops, real = tour.load(), lessons.load()
    frames = {stop.lesson: [shown(real[stop.lesson])] for stop in stops}
    app = HolesApp([], link=FakeEngine(frames).link, clock=lambda: 0.0, tour=True)
    async with app.run_test(size=(80, 24)) as pilot:
        for number, stop in enumerate(stops, 1):
            await settle(pilot)
            lesson = real[stop.lesson]
            step = step_of(stop, lesson)
            assert step is not None
            assert place(app) == (stop.lesson, step + 1, f"tour {number} of {len(stops)}")
            assert lesson.words[step].heading in said_in(app.main.words)
            if lesson.steps[step].bet is None:
                await until(pilot, lambda: app.main.stage.shown)
                assert app.main.stage.shown[0].key == lesson.steps[step].view
            else:
                assert app.main.result.form.question is lesson.steps[step].bet
                assert app.main.stage.shown == ()
            await press(pilot, "space")
        assert isinstance(app.screen, TourEndScreen)
