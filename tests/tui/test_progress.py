"""What the learner did is kept, shown, and taken up again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.lessons.learner.events import Answered, Ran, Read
from llm_holes.lessons.learner.progress import FILE, Progress
from llm_holes.tui.app import HolesApp
from llm_holes.tui.widgets.dial import Choice, Stepper
from llm_holes.tui.widgets.lesson_tree import MARKS
from tests.support import gallery
from tests.support.app import MakeApp, OpenApp, done, press, settle, until
from tests.support.fake_link import FakeEngine
from tests.support.pictures import MIDDLE, SMALL, Compare, after


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_HOLES_STATE", str(tmp_path))
    return tmp_path


def mark(app: HolesApp, lesson: str) -> str:
    label = app.main.holes.render_label(
        app.main.holes.nodes[lesson], app.main.holes.rich_style, app.main.holes.rich_style
    )
    return next(character for character in label.plain if character in MARKS.values())


async def test_opening_running_and_passing_show_in_the_tree(open_app: OpenApp, folder: Path) -> None:
    async with open_app() as (app, pilot):
        assert (mark(app, "tokens"), mark(app, "attention")) == ("·", "·")
        await press(pilot, "r")
        await done(app, pilot)
        assert mark(app, "tokens") == "◐"
        assert "0 of 7 passed" in str(app.main.status.render())
        kinds = {(type(event), event.lesson) for event in Progress.open(folder).events}
        assert {(Read, "tokens"), (Ran, "tokens")} <= kinds
        for question in ("Which?", "Which now?"):
            app.learner.record(Answered(lesson="tokens", question=question, option=0, said="this", right=True))
        app.main.save_soon()
        await settle(pilot)
        assert mark(app, "tokens") == "✓"
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert "1 of 7" in str(app.main.status.render())


async def leave(app: HolesApp, pilot: Pilot[None]) -> None:
    await press(pilot, "space", "s", "space")
    app.query_one(Choice).focus()
    await press(pilot, "right")
    app.query(Stepper).first().focus()
    await press(pilot, "right")


@pytest.mark.parametrize("way", ["quit", "signal", "killed while running"])
async def test_it_goes_on_where_the_learner_left(
    way: str, make_app: Callable[..., HolesApp], engine: FakeEngine, folder: Path
) -> None:
    app = make_app("kv-cache")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await leave(app, pilot)
        if way == "quit":
            await press(pilot, "q")
        elif way == "signal":
            thread = threading.Thread(target=app.save_now)
            thread.start()
            thread.join()
        else:
            engine.manual = True
            await press(pilot, "r")
            await until(pilot, lambda: app.main.session.run.phase == "running")

            def kept() -> bool:
                point = Progress.open(folder).resume
                return point is not None and (point.step, point.settings.get("max_new_tokens")) == (2, 136)

            await until(pilot, kept)
    again = make_app(None)
    async with again.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert again.main.lesson is not None
        assert again.main.lesson.id == "kv-cache"
        assert again.main.step == 2
        assert again.query_one(Choice).value == "on"
        assert again.query(Stepper).first().value == 136


async def test_steps_and_controls_are_written_while_the_app_runs(open_app: OpenApp, folder: Path) -> None:
    def kept() -> tuple[object, ...]:
        point = Progress.open(folder).resume
        return (point.step, point.settings.get("max_new_tokens")) if point else ()

    async with open_app("kv-cache", (80, 24)) as (app, pilot):
        await press(pilot, "space", "s", "space")
        app.query(Stepper).first().focus()
        await press(pilot, "right")
        await until(pilot, lambda: kept() == (2, 136))


@pytest.mark.parametrize("key", ["i", "z", "slash"])
async def test_keys_typed_after_quit_open_nothing(key: str, open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        app.simulate_key("q")
        app.simulate_key(key)
        await until(pilot, lambda: not app.is_running)
        assert len(app.screen_stack) <= 1


async def test_a_lesson_asked_for_is_opened_instead(make_app: MakeApp, folder: Path) -> None:
    for lesson in ("kv-cache", "tokens"):
        app = make_app(lesson)
        async with app.run_test() as pilot:
            await settle(pilot)
            assert app.main.lesson is not None
            assert app.main.lesson.id == lesson


async def test_a_prediction_of_an_earlier_session_is_not_asked_again(
    make_app: MakeApp, engine: FakeEngine, folder: Path
) -> None:
    for _ in range(2):
        app = make_app("tokens")
        async with app.run_test() as pilot:
            await settle(pilot)
            await press(pilot, "space")
            if app.main.result.form.question is None:
                await press(pilot, "r")
            else:
                await press(pilot, "9", "enter")
            await done(app, pilot)
    assert len(engine.runs) == 2
    assert [type(event).__name__ for event in app.learner.events] == ["Read", "Predicted", "Ran", "Graded"]


@pytest.mark.parametrize(
    ("content", "aside"),
    [("[b]not progress", "damaged"), ('{"format":"llm-holes progress","version":99,"more":[]}', "newer")],
)
async def test_a_file_it_cannot_read_is_set_aside_with_a_message(
    content: str, aside: str, make_app: MakeApp, folder: Path
) -> None:
    (folder / FILE).write_text(content)
    app = make_app("tokens")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        told = " ".join(notification.message for notification in app._notifications)
        assert "could not be read" in told
        assert (folder / f"progress.{aside}-1.json").read_text() == content
        assert mark(app, "tokens") == "·"


async def test_two_apps_at_once_lose_nothing(catalog: Catalog, folder: Path) -> None:
    one, other = (
        HolesApp([], first, link=FakeEngine(gallery.frames()).link, catalog=catalog)
        for first in ("tokens", "attention")
    )
    async with one.run_test() as first, other.run_test() as second:
        for app, pilot in ((one, first), (other, second), (one, first)):
            await settle(pilot)
            await press(pilot, "z", "1", "enter", "escape")
            assert len([event for event in app.learner.events if isinstance(event, Answered)])
        await press(second, "r")
        await done(other, second)
        await press(first, "q")
        await press(second, "q")
    events = Progress.open(folder).events
    answered = [event.lesson for event in events if isinstance(event, Answered)]
    assert sorted(answered) == ["attention", "tokens", "tokens"]
    assert {event.lesson for event in events if isinstance(event, Read)} == {"attention", "tokens"}
    assert {event.lesson for event in events if isinstance(event, Ran)} == {"attention"}


async def test_a_state_folder_that_cannot_be_written_does_not_stop_anything(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLM_HOLES_STATE", str(tmp_path / "file" / "state"))
    app = make_app("tokens")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "r")
        await done(app, pilot)
        assert mark(app, "tokens") == "◐"
        told = [notification.message for notification in app._notifications]
        assert len(told) == 1
        assert "cannot be saved" in told[0]


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_marks(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see one lesson run, the one on the page read, the others unseen."""
    assert snap_compare(make_app(), terminal_size=size, run_before=after("run", "escape", "j", "j", "j", "j", "enter"))
