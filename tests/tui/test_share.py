"""S: the picture on the stage becomes a file and goes into the clipboard, with the command that repeats it."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from textual.pilot import Pilot

from llm_holes.engine.ipc import client
from llm_holes.engine.ipc.messages import Case
from llm_holes.lessons.catalog import catalog as lessons
from llm_holes.lessons.notebook.notebook import plain
from llm_holes.tui.app import HolesApp
from llm_holes.tui.cli import main as cli
from tests.support import gallery
from tests.support.app import OpenApp, done, press, settle, until
from tests.support.fake_link import FakeEngine
from tests.support.paths import SUPPORT
from tests.support.shell import words

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command_in(path: Path) -> str:
    return ElementTree.fromstring(path.read_text(encoding="utf-8")).findtext(f"{SVG}desc") or ""


def told(app: HolesApp) -> list[str]:
    return [notification.message for notification in app._notifications if notification.title == "share"]


async def copied(app: HolesApp, pilot: Pilot[None], monkeypatch: pytest.MonkeyPatch) -> str:
    """Presses S; what was sent to the terminal for its clipboard."""
    assert app._driver is not None
    sent: list[str] = []
    monkeypatch.setattr(app._driver, "write", sent.append)
    await press(pilot, "S")
    (sequence,) = [text for text in sent if text.startswith("\x1b]52;c;")]
    return base64.b64decode(sequence.removeprefix("\x1b]52;c;").removesuffix("\a")).decode()


async def test_two_presses_write_two_files_and_say_so(open_app: OpenApp, here: Path) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        await pilot.press("S", "S")
        await settle(pilot)
        files = ["tokens-first-2.svg", "tokens-first.svg"]
        assert sorted(path.name for path in here.iterdir()) == files
        assert all("\n" not in line for line in told(app))
        assert {line.partition(" ")[0] for line in told(app)} == set(files)


async def test_the_clipboard_gets_the_view_as_text_and_the_command(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app() as (app, pilot):
        app.main.settings.change(app.main.catalog["tokens"], {"text": "it's"})
        await press(pilot, "r")
        await done(app, pilot)
        text = await copied(app, pilot, monkeypatch)
        assert "your text, as the model sees it" in text
        assert text.splitlines()[-1] == "llm-holes run tokens --set 'text=it'\"'\"'s'"


async def test_the_caption_is_on_the_card_once_no_bet_is_open(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        assert "11 tokens" not in await copied(app, pilot, monkeypatch)
        await press(pilot, "space", "s")
        await done(app, pilot)
        assert "11 tokens for 48 characters" in await copied(app, pilot, monkeypatch)


async def test_there_must_be_a_picture_of_a_finished_run(open_app: OpenApp, engine: FakeEngine, here: Path) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "r", "S")
        engine.frame(gallery.frames()["tokens"][-1])
        await press(pilot, "S")
        assert not app.main.check_action("share", ())
        engine.finish()
        await settle(pilot)
        assert app.main.check_action("share", ())
        await press(pilot, "space", "S")
        assert app.main.result.form.question is not None
        assert not app.main.check_action("share", ())
    assert list(here.iterdir()) == []


async def test_nothing_is_shared_of_a_broken_model(open_app: OpenApp, here: Path) -> None:
    async with open_app() as (app, pilot):
        app.main.begin(Case(1, 1))
        await press(pilot, "r")
        await done(app, pilot)
        assert app.main.session.run.case is not None
        assert not app.main.check_action("share", ())
        await press(pilot, "S")
    assert list(here.iterdir()) == []


async def test_the_command_on_the_card_measures_the_same_without_the_app(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = [sys.executable, str(SUPPORT / "fake_engine.py")]
    monkeypatch.setattr(client, "command_for", lambda *_: engine)
    app = HolesApp(engine, "tokens")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.main.session.engine.phase == "ready", 20)
        settings = {**lessons.load()["tokens"].defaults(), "text": 'two\nlines, "so" & so'}
        app.main.settings.change(lessons.load()["tokens"], settings)
        await press(pilot, "r")
        await done(app, pilot)
        await press(pilot, "S")
        seen = app.main.session.frame
    (path,) = here.iterdir()
    program, *arguments = words(command_in(path))
    assert program == "llm-holes"
    capsys.readouterr()
    # in a thread: the command has an event loop of its own
    assert await asyncio.to_thread(cli.main, [*arguments, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert seen is not None
    assert made["measured"] == plain(seen.measured)
    assert made["settings"]["text"] == settings["text"]
