"""From a key to a request to a frame on the screen."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from rich.cells import cell_len
from textual import events
from textual._compositor import Compositor, ReflowResult
from textual.geometry import Size
from textual.widget import Widget

from llm_holes.engine.frames import Bars, Cost, Frame, Text
from llm_holes.engine.ipc.messages import Alive, Cancel, Cancelled, Failed, Finished, Status, Unavailable
from llm_holes.engine.ipc.session import RunState
from llm_holes.engine.work import Doing, Work
from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.tui.app import HolesApp
from llm_holes.tui.views.base import ViewWidget
from llm_holes.tui.views.heatmap import HeatmapView
from llm_holes.tui.widgets.dial import Choice, Stepper
from llm_holes.tui.widgets.result import Caption, Result
from llm_holes.tui.widgets.stage import Stage
from llm_holes.tui.widgets.status_line import StatusLine
from llm_holes.tui.widgets.text_field import TextField
from tests.support import gallery
from tests.support.app import OpenApp, done, press, said_in, settle, until
from tests.support.clock import AtMost
from tests.support.fake_link import FakeEngine


def said(app: HolesApp) -> str:
    """What the caption says where no bet is open that it would answer."""
    app.query_one(Caption).quiet = False
    return str(app.query_one(Caption).render())


def status(app: HolesApp) -> str:
    return str(app.query_one(StatusLine).render())


async def test_r_runs_and_the_frames_reach_the_views(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        assert engine.runs[0].lesson == "tokens"
        assert engine.runs[0].settings == {"text": "What happens when you send a message to a model?"}
        assert len(app.query(ViewWidget)) == 1
        assert "11 tokens for 48 characters" in said(app)


async def test_the_text_quotes_what_was_measured(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        words = app.main.words
        assert "49,152 entries" in said_in(words)
        await press(pilot, "space", "s")
        await done(app, pilot)
        assert "11 tokens" in said_in(words)
        assert "the *cat* [sat] `here`" in said_in(words)


async def test_a_changed_control_runs_again_and_replaces_the_run(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app("kv-cache") as (app, pilot):
        engine.ready()
        await press(pilot, "r")
        app.query(Stepper).first().focus()
        await press(pilot, "right", "right", "left")
        await until(pilot, lambda: len(engine.runs) == 2)
        assert engine.runs[1].settings["max_new_tokens"] == 136
        assert engine.runs[1].id > engine.runs[0].id
        engine.say(Cancelled(engine.runs[0].id))
        engine.frame(Frame("of the second run"))
        engine.finish()
        await until(pilot, lambda: app.main.session.run.phase == "done")
        assert "of the second run" in said(app)


async def test_frames_of_a_replaced_run_are_dropped(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "r", "r")
        app.main.session.reply(Failed(engine.runs[0].id, "old", ""))
        assert app.main.session.run.phase == "running"


async def test_results_stay_in_sight_until_the_next_run_has_its_own(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        engine.manual = True
        await press(pilot, "r")
        assert said(app).startswith("running again…")
        assert "11 tokens for 48 characters" in said(app)
        assert len(app.query(ViewWidget)) == 1
        engine.frame(Frame("fresh"))
        await until(pilot, lambda: said(app) == "fresh")


async def test_replies_before_and_after_the_panel_is_on_the_screen_do_no_harm() -> None:
    result, stage = Result(), Stage()
    result.caption.run = RunState("running", 1)
    await stage.show((Text("early", "x", key="first"),))
    assert result.caption.run.phase == "running"
    assert [view.title for view in stage.shown] == ["early"]


async def test_x_cancels(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "r", "x")
        assert engine.requests[-1] == Cancel(engine.runs[0].id)
        engine.say(Cancelled(engine.runs[0].id))
        await settle(pilot)
        assert said(app).startswith("stopped")


async def test_how_long_there_was_no_word_of_the_engine_is_on_the_screen(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "r")
        app.main.session._heard = -12.0  # the clock stands at 0
        await until(pilot, lambda: "! no word from the engine for 12 s" in status(app))
        engine.say(Alive())
        await until(pilot, lambda: "no word" not in status(app))
        assert "running" in status(app)


@pytest.mark.parametrize(
    ("size", "said_there"),
    [((120, 40), "· layer 12 of 30 · 4,001 tokens"), ((80, 24), " · layer 12 of 30  "), ((200, 50), "of about 19")],
)
async def test_a_run_that_takes_long_tells_what_it_does(
    open_app: OpenApp, engine: FakeEngine, size: tuple[int, int], said_there: str
) -> None:
    engine.manual = True
    async with open_app(size=size) as (app, pilot):
        engine.ready()
        await press(pilot, "r")
        assert "layer" not in status(app)
        work = Work("layer", 12, 30, 4001)
        engine.say(Alive(engine.runs[0].id, Doing(work, passes=3, readings=3, of_readings=19)))
        await until(pilot, lambda: said_there in status(app))
        assert cell_len(status(app)) <= size[0] - 2
        engine.say(Finished(engine.runs[0].id, {}, 1.0))
        await until(pilot, lambda: "ready" in status(app))
        assert "layer" not in status(app)


async def test_a_run_asked_for_before_the_model_is_ready_waits(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.say(Status("downloading", "", 43_000_000, 93_000_000))
        await press(pilot, "r")
        assert "41.0 MiB of 88.7 MiB" in status(app)
        assert "run queued" in status(app)
        assert said(app).startswith("queued")
        assert engine.runs == []
        engine.ready()
        await settle(pilot)
        assert len(engine.runs) == 1


async def test_a_queued_run_can_be_cancelled(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (_, pilot):
        await press(pilot, "r", "x")
        engine.ready()
        await settle(pilot)
        assert engine.runs == []


async def test_a_failed_run_shows_why_and_keeps_the_settings(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app("kv-cache") as (app, pilot):
        engine.ready()
        app.query_one(Choice).focus()
        await press(pilot, "right", "r")
        engine.fail("The text is [too] long.", "Use at most 8,192 tokens.")
        await settle(pilot)
        assert "! The text is [too] long." in said(app)
        assert "Use at most 8,192 tokens." in said(app)
        assert app.query_one(Choice).value == "on"


async def test_without_a_model_the_reason_shows_and_r_tries_again(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.say(Unavailable("no network", "Check the connection."))
        await settle(pilot)
        assert "no model · r tries again · no network" in status(app)
        await press(pilot, "space", "r")
        assert engine.starts == 2, "at once: a bet on what cannot run is not asked for"
        assert not app.main.result.form.display
        engine.say(Unavailable("still no network", "Check the connection."))
        await press(pilot, "r")
        assert engine.starts == 3
        engine.ready()
        await settle(pilot)
        assert app.main.result.form.display, "the bet comes before the run"
        assert not engine.runs
        await press(pilot, "s")
        assert len(engine.runs) == 1


async def test_the_engine_dies_and_r_starts_it_again(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        engine.manual = True
        await press(pilot, "r")
        engine.die()
        await settle(pilot)
        assert "signal 9" in status(app)
        assert "starts it again" in status(app)
        engine.manual = False
        await press(pilot, "r")
        await done(app, pilot)
        assert engine.starts == 2
        assert "11 tokens" in said(app)


async def test_a_killed_process_is_noticed_within_a_second(catalog: Catalog, at_most: AtMost) -> None:
    command = [sys.executable, "-m", "tests.support.fake_engine"]
    app = HolesApp(command, "tokens", catalog=catalog)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.main.session.engine.phase == "ready", 20)
        connection = app.link._connection  # type: ignore[attr-defined]
        with at_most(1):
            os.kill(connection._transport.get_pid(), signal.SIGKILL)
            await until(pilot, lambda: app.main.session.engine.phase == "stopped")
        assert "SIGKILL" in status(app)
        await pilot.press("r")
        await until(pilot, lambda: app.main.session.run.phase == "done" and len(app.query(ViewWidget)) == 1, 20)


async def test_many_frames_repaint_at_most_ten_times_a_second(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "r")
        painted: list[Frame | None] = []
        app.watch(app.main, "frame", lambda frame: painted.append(frame), init=False)
        for number in range(200):
            engine.frame(Frame(str(number)))
        await until(pilot, lambda: said(app) == "199")
        assert len(painted) <= 2


async def test_views_of_the_same_kind_are_updated_in_place(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app("attention") as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        heatmap = app.query(HeatmapView).first()
        heatmap.focus()
        await press(pilot, "right", "down", "r")
        await done(app, pilot)
        assert app.query(HeatmapView).first() is heatmap
        assert heatmap.cursor == (5, 3)
        assert app.focused is heatmap


async def test_other_views_replace_the_old_ones(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        engine.manual = True
        await press(pilot, "r")
        engine.frame(Frame("bars", (Bars("b", ("x",), (1.0,), key="first"),)))
        await until(pilot, lambda: [type(view.view) for view in app.query(ViewWidget) if view.display] == [Bars])
        assert said(app) == "bars"


async def test_enter_on_a_cell_sets_the_controls_it_names(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app("attention") as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        app.query(HeatmapView).first().focus()
        await press(pilot, "down", "right", "right", "enter")
        await done(app, pilot)
        assert engine.runs[-1].settings["position"] == 5
        assert engine.runs[-1].settings["layer"] == 4
        assert {w.control.name: w.value for w in app.main.dials.controls()}["position"] == 5


async def test_resize_in_mid_run(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app("kv-cache", (160, 45)) as (app, pilot):
        engine.ready()
        await press(pilot, "r")
        for frame, size in zip(gallery.frames()["kv-cache"], ((80, 24), (10, 5), (120, 40), (200, 60)), strict=False):
            engine.frame(frame)
            await pilot.resize_terminal(*size)
            await settle(pilot)
        engine.finish()
        await done(app, pilot)
        assert len(app.query(ViewWidget)) == 1


async def test_ten_thousand_pasted_words_do_not_freeze_it(
    open_app: OpenApp, engine: FakeEngine, at_most: AtMost
) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        field = app.query_one(TextField)
        field.focus()
        field.text = ""
        with at_most(3):
            app.post_message(events.Paste("word \u202esalad\x1b[2J " * 5000))
            await until(pilot, lambda: len(field.value) > 50_000, 60)
            await pilot.press("a")
        await press(pilot, "enter")
        assert engine.runs[-1].settings["text"] == field.value
        assert field.value.startswith("word \u202esalad\x1b[2J ")
        assert "\x1b" not in field.text
        assert "\u202e" not in field.text


async def test_what_a_picture_costs_is_said_beside_that_picture_only(open_app: OpenApp, engine: FakeEngine) -> None:
    views = (Bars("one", ("a",), (1.0,), key="one"), Bars("two", ("a",), (1.0,), key="two"))
    cost = Cost("one token", 41.0, 538e6, 269e6, 1.0, "reading", view="two")
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        caption = app.query_one(Caption)
        caption.quiet, caption.frame, caption.view = False, Frame("seen", views, {}, None, cost), "one"
        assert "bound by reading" not in str(caption.render())
        caption.view = "two"
        assert "bound by reading" in str(caption.render())
        caption.quiet = True  # a bet on a later picture is open
        assert "bound by reading" in str(caption.render())
        assert "seen" not in str(caption.render())


async def test_while_a_run_goes_on_no_other_picture_stands_for_that_of_the_step(
    open_app: OpenApp, engine: FakeEngine
) -> None:
    engine.manual = True
    other = Bars("not of this step", ("a",), (1.0,), key="other")
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "r")
        engine.frame(Frame("half of it", (other,), {}, 0.5))
        await settle(pilot)
        assert app.query_one(Stage).shown == ()
        engine.frame(Frame("all of it", (other,)))
        engine.say(Finished(engine.runs[-1].id, engine.runs[-1].settings, 1.0))
        await settle(pilot)
        assert [view.key for view in app.query_one(Stage).shown] == ["other"]


async def test_only_a_picture_or_a_caption_of_another_height_lays_the_screen_out(
    open_app: OpenApp, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys wait for it."""
    engine.manual = True
    layouts: list[int] = []
    reflow = Compositor.reflow

    def counted(compositor: Compositor, parent: Widget, size: Size) -> ReflowResult:
        layouts.append(1)
        return reflow(compositor, parent, size)

    async with open_app() as (app, pilot):
        caption = app.query_one(Caption)

        async def show(told: str, *values: float) -> None:
            engine.frame(Frame(told, (Bars("b", tuple(map(str, values)), values, key="second"),)))
            await until(pilot, lambda: told[:5] in str(caption.render()))
            await settle(pilot)

        engine.ready()
        await press(pilot, "space", "s")
        await show("first", 1.0, 2.0)
        monkeypatch.setattr(Compositor, "reflow", counted)
        await show("second", 3.0, 4.0)
        await show("third", 5.0, 6.0)
        assert layouts == []
        await show("another bar", 7.0, 8.0, 9.0)
        picture = app.query_one(ViewWidget)
        assert layouts
        assert picture.size.height == picture.row_count(picture.size.width)
        layouts.clear()
        await show(" ".join(["more to say"] * 30), 10.0, 11.0, 12.0)
        assert layouts
        assert caption.size.height == len(str(caption.render()).splitlines()) > 1
