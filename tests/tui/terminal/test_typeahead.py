"""Keys that come in one burst do what they would do one by one, and a flood of them does not make the app deaf."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input

from llm_holes.tui.app import HolesApp
from llm_holes.tui.screens.help import HelpScreen
from llm_holes.tui.terminal import typeahead
from llm_holes.tui.terminal.keyboard import Keyboard
from llm_holes.tui.terminal.typeahead import Typeahead
from llm_holes.tui.widgets.text_field import TextField
from tests.support.app import OpenApp, settle, until
from tests.support.foreign import STACKED
from tests.tui.test_safety import assert_harmless, drawn


def typed(app: HolesApp, data: bytes) -> list[Message]:
    keyboard = Keyboard()
    messages = keyboard.read(data) + keyboard.pause()
    for message in messages:
        message.set_sender(app)
    return messages


async def burst(app: HolesApp, pilot: Pilot[None], data: bytes) -> None:
    ahead = Typeahead(app)
    ahead.add(typed(app, data))
    await until(pilot, lambda: not ahead._busy)
    await settle(pilot)


async def test_two_escapes_in_one_burst_leave_one_dialog_and_then_the_picture(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await burst(app, pilot, b"?\x1b[27u\x1b[27u")
        assert app.screen is app.main
        assert app.focused is app.main.holes


async def test_a_key_goes_to_what_the_key_before_opened(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await burst(app, pilot, b"eab?q")
        assert not app.main.quitting
        field = app.query_one(TextField)
        assert field.has_focus
        assert field.value.count("ab?q") == 1


async def test_a_choice_that_is_confirmed_twice_leaves_one_dialog(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await burst(app, pilot, b"P\r\r\r")
        assert app.screen is app.main
        assert app._exception is None


async def test_many_characters_at_once_are_a_paste_where_text_is_written(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        text = "what the terminal did not mark as a paste"
        await burst(app, pilot, b"e" + text.encode())
        assert app.query_one(TextField).value.count(text) == 1


async def test_of_a_flood_the_last_keys_are_heard_and_the_loss_is_told(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        now = [0.0]
        ahead = Typeahead(app, lambda: now[0])
        ahead.add(typed(app, "\x9b".encode() * 500))
        now[0] = typeahead.PATIENCE + 1
        ahead.add(typed(app, b"?"))
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert any("left out" in notice.message for notice in app._notifications)


async def test_what_a_learner_types_ahead_is_kept_however_long_it_waits(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        now = [0.0]
        ahead = Typeahead(app, lambda: now[0])
        ahead.add(typed(app, b"e" + b"ab " * 10))
        now[0] = 60.0
        await until(pilot, lambda: not ahead._busy)
        assert "ab " * 10 in app.query_one(TextField).value
        assert not app._notifications


def test_of_moves_and_of_focus_only_the_last_counts() -> None:
    moves = [events.AppFocus(), events.AppBlur(), events.AppFocus()]
    assert typeahead._replaces(moves[1], moves[0])
    assert not typeahead._replaces(events.Key("a", "a"), moves[0])


async def test_what_is_pasted_into_the_search_is_drawn_as_marks(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await burst(app, pilot, b"/\x1b[200~\x1b[2J\x1b]0;x\x07" + b"a" + "\u0301".encode() * 20 + b"\x1b[201~")
        assert "␛[2J␛]0;x␇" in app.screen.query_one(Input).value
        for _ in range(20):
            await pilot.press("\u0301")
        await settle(pilot)
        assert_harmless(app)
        assert not STACKED.search(drawn(app))
