"""Pinning a run as A: the next ones stand beside it, and never before they were predicted and run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from msgspec import structs
from textual.pilot import Pilot

from llm_holes.engine.frames import Array, Diff, Frame, Table, Text
from llm_holes.engine.ipc import client
from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.lessons.notebook import notebook
from llm_holes.lessons.notebook.notebook import FILE, seal_holds
from llm_holes.tui.app import HolesApp
from llm_holes.tui.cli import main as cli
from tests.support import gallery
from tests.support.app import MakeApp, OpenApp, press, settle, until
from tests.support.fake_link import FakeEngine
from tests.support.pictures import MIDDLE, SMALL, Compare

LONG = "The cat sat on the mat and looked at the rain."


async def finished(app: HolesApp, pilot: Pilot[None], engine: FakeEngine, frame: Frame) -> None:
    """The engine answers the run that was just asked for."""
    number = app.main.session.run.id
    await until(pilot, lambda: engine.runs and engine.runs[-1].id == number)
    engine.frame(frame)
    engine.finish()
    await until(pilot, lambda: app.main.session.run.phase == "done")
    await settle(pilot)


def shown(app: HolesApp) -> list[object]:
    return list(app.main.comparison)


def answer(text: str, tokens: int) -> Frame:
    return Frame("done", (gallery.heatmaps()[0],), {"tokens": tokens, "answer": text})


async def test_a_pinned_run_stands_beside_the_next_and_the_same_key_lets_go(
    open_app: OpenApp, engine: FakeEngine
) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "a")
        assert shown(app) == []
        await press(pilot, "r")
        await finished(app, pilot, engine, answer(LONG, 11))
        await press(pilot, "a")
        assert [view.title for view in shown(app) if isinstance(view, Text)] == ["A is pinned"]
        await press(pilot, "r")
        engine.frame(Frame("half", (), {"tokens": 5}, 0.5))
        await settle(pilot)
        assert not [view for view in shown(app) if isinstance(view, Table)]
        await finished(app, pilot, engine, answer(LONG.replace("mat", "sofa"), 14))
        rows = {row[0]: row for view in shown(app) if isinstance(view, Table) for row in view.rows}
        assert rows["tokens"] == ("tokens", "11", "14", "+3")
        assert [view.title for view in shown(app) if isinstance(view, Diff)] == ["A | B: answer"]
        await press(pilot, "a")
        assert shown(app) == []
        await press(pilot, "a")
        assert [view.title for view in shown(app) if isinstance(view, Text)] == ["A is pinned"]


async def test_the_pin_waits_for_its_lesson_and_leaks_into_no_other(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await press(pilot, "a")
        app.main.open_lesson("quantization")
        await settle(pilot)
        assert shown(app) == []
        await press(pilot, "r")
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await settle(pilot)
        assert shown(app) == []
        app.main.open_lesson("tokens")
        await settle(pilot)
        assert [view.title for view in shown(app) if isinstance(view, Text)] == ["A is pinned"]
        await press(pilot, "r")
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await settle(pilot)
        assert next(view.title for view in shown(app) if isinstance(view, Text)) == "A | B: the same settings"


async def test_a_run_is_added_to_the_notebook_by_key(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_HOLES_STATE", str(tmp_path))
    async with open_app() as (app, pilot):
        await press(pilot, "n")
        assert not (tmp_path / FILE).exists()
        await press(pilot, "r")
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await press(pilot, "n")
        await until(pilot, lambda: (tmp_path / FILE).exists())
        await settle(pilot)
        said = [notification.message for notification in app._notifications]
        assert any(str(tmp_path / FILE) in message for message in said)
    (entry,), notices = notebook.read(tmp_path)
    assert not notices
    assert seal_holds(entry)
    assert entry.settings == {"text": "What happens when you send a message to a model?"}
    assert entry.versions == {"llm-holes": "0.1.0"}
    assert entry.model is not None
    assert entry.measured["tokens"] == 11
    assert len(entry.views) == 3
    assert all(view.text and view.svg.startswith("<svg") and "http://www.w3.org" in view.svg for view in entry.views)


async def test_what_the_key_kept_is_replayed_and_a_doctored_copy_is_caught(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLM_HOLES_STATE", str(tmp_path))
    command = [sys.executable, "-m", "tests.support.fake_engine"]
    monkeypatch.setattr(client, "command_for", lambda *_: command)
    app, kept = HolesApp(command, "tokens", catalog=catalog), tmp_path / FILE
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.main.session.engine.phase == "ready", 20)
        await pilot.press("r")
        await until(pilot, lambda: app.main.session.run.phase == "done", 20)
        await press(pilot, "n")
        await until(pilot, kept.exists)
    assert await asyncio.to_thread(cli.main, ["replay", str(kept)]) == 0
    assert "3 reproduced, 0 differs" in capsys.readouterr().out
    doctored = tmp_path / "doctored.jsonl"
    doctored.write_text(kept.read_text().replace('"answer":"Paris"', '"answer":"Lyon"'))
    assert await asyncio.to_thread(cli.main, ["replay", str(doctored)]) == 1
    out = capsys.readouterr().out
    assert "changed after the run" in out
    assert "'Lyon' → 'Paris'" in out


async def test_a_notebook_that_cannot_be_written_is_told_and_the_run_stays(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await until(pilot, lambda: app.main.session.run.phase == "done")
        blocked = tmp_path / "file"
        blocked.write_text("")
        monkeypatch.setenv("LLM_HOLES_STATE", str(blocked))
        await press(pilot, "n")
        await until(pilot, lambda: app._notifications)
        assert "was not added to the notebook" in next(iter(app._notifications)).message
        assert app.main.session.frame is not None


@pytest.mark.parametrize("size", [SMALL, MIDDLE])
def test_side_by_side(snap_compare: Compare, make_app: MakeApp, engine: FakeEngine, size: tuple[int, int]) -> None:
    """You should see what was changed, a table with A, B and B − A, the answer with the changed words marked, and (at
    120 x 40) the difference of the two maps."""

    async def run_before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, HolesApp)
        await settle(pilot)
        engine.manual = True
        await press(pilot, "r")
        await finished(app, pilot, engine, answer(LONG, 11))
        await press(pilot, "a")
        app.main.choose_preset(1)
        other = answer(LONG.replace("mat", "old sofa"), 14)
        turned = Array.of(gallery.attention().numpy()[::-1])
        await finished(
            app, pilot, engine, structs.replace(other, views=(structs.replace(other.views[0], values=turned),))
        )

    assert snap_compare(make_app("attention"), terminal_size=size, run_before=run_before)
