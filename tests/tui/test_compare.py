"""Pinning a run as A: the next ones stand beside it, on one scale, and never before they were predicted and run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from textual.pilot import Pilot

from llm_holes.engine.frames import Array, Bars, Diff, Frame, Heatmap, Table, Text, Value
from llm_holes.engine.ipc import client
from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.lessons.notebook import notebook
from llm_holes.lessons.notebook.notebook import FILE, seal_holds
from llm_holes.tui.app import HolesApp
from llm_holes.tui.cli import main as cli
from llm_holes.tui.screens.lesson import DIFFERENCES
from llm_holes.tui.views.base import ViewWidget
from llm_holes.tui.views.heatmap import HeatmapView
from tests.support import gallery
from tests.support.app import MakeApp, OpenApp, press, settle, until
from tests.support.fake_link import FakeEngine
from tests.support.pictures import MIDDLE, SMALL, WIDE, Compare

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


def answer(text: str, words: int) -> Frame:
    return Frame("done", (gallery.heatmaps()[0],), {"words": words, "answer": text})


def screen(app: HolesApp) -> str:
    """What is on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def drawn(app: HolesApp) -> list[ViewWidget[Any]]:
    """The pictures on the stage, A's first."""
    stage = app.main.stage
    pictures = [picture for picture in (stage.first, stage.picture) if picture.display]
    return [widget for picture in pictures for widget in picture.query(ViewWidget) if widget.display]


def marks(app: HolesApp) -> list[str]:
    return [widget.mark for widget in drawn(app)]


def likely(*shares: float, unit: str = "probability") -> Frame:
    labels = (" Paris", " the", " a", " France", " located")[: len(shares)]
    measured: dict[str, Value] = {"p_first": shares[0], "tokens": 11, "total_ms": 100 * shares[0]}
    return Frame("done", (Bars("what comes next", labels, shares, unit, 0, key="first"),), measured)


async def compare(app: HolesApp, pilot: Pilot[None], engine: FakeEngine, a: Frame, b: Frame) -> None:
    """Pins a run that gave `a` and changes something, upon which the next gives `b`."""
    engine.manual = True
    engine.ready()
    await press(pilot, "r")
    await finished(app, pilot, engine, a)
    await press(pilot, "a")
    app.main.choose_preset(1)
    await finished(app, pilot, engine, b)


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
        assert shown(app) == []
        assert "A is pinned" in screen(app)
        await press(pilot, "r")
        engine.frame(Frame("half", (), {"tokens": 5}, 0.5))
        await settle(pilot)
        assert not [view for view in shown(app) if isinstance(view, Table)]
        await finished(app, pilot, engine, answer(LONG.replace("mat", "sofa"), 14))
        rows = {row[0]: row for view in shown(app) if isinstance(view, Table) for row in view.rows}
        assert rows["words"] == ("words", "11", "14", "+3")
        assert [view.title for view in shown(app) if isinstance(view, Diff)] == ["A | B: answer"]
        assert "A is pinned" not in screen(app)
        await press(pilot, "a")
        assert shown(app) == []
        assert "A is pinned" not in screen(app)
        await press(pilot, "a")
        assert shown(app) == []
        assert "A is pinned" in screen(app)


async def test_the_pin_waits_for_its_lesson_and_leaks_into_no_other(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await press(pilot, "a")
        app.main.open_lesson("quantization")
        await settle(pilot)
        assert shown(app) == []
        assert marks(app) == []
        assert "A is pinned" not in screen(app)
        await press(pilot, "r")
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await settle(pilot)
        assert shown(app) == []
        assert marks(app) == [""]
        assert not app.main.stage.first.children
        app.main.open_lesson("tokens")
        await settle(pilot)
        assert shown(app) == []
        assert "A is pinned" in screen(app)
        assert marks(app) == ["A"], "its picture is there without another run"
        await press(pilot, "r")
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await settle(pilot)
        assert next(view.title for view in shown(app) if isinstance(view, Text)) == "A | B: the same settings"


@pytest.mark.parametrize(
    ("size", "folded", "beside"),
    [(SMALL, False, False), (MIDDLE, False, False), (MIDDLE, True, True), (WIDE, False, True), (WIDE, True, True)],
)
async def test_two_pictures_stand_side_by_side_where_there_is_room_else_above_each_other(
    open_app: OpenApp, engine: FakeEngine, size: tuple[int, int], folded: bool, beside: bool
) -> None:
    async with open_app("attention", size) as (app, pilot):
        if folded:
            await press(pilot, "M")
        await compare(app, pilot, engine, likely(0.6, 0.1, 0.05, 0.02, 0.01), likely(0.3, 0.8, 0.05, 0.02, 0.01))
        lines = screen(app).split("\n")
        titles = [(y, line.index(mark)) for mark in ("A  what comes", "B  what comes") for y, line in enumerate(lines)
                  if mark in line]  # fmt: skip
        (a_line, a_column), (b_line, b_column) = titles
        assert (a_line == b_line) == beside
        assert (a_column == b_column) == (not beside)
        bars = [line for line in lines if "█" in line and "·Paris" in line]
        assert len(bars) == (1 if beside else 2)
        first, second = drawn(app)
        assert first.size.width == second.size.width
        assert all(widget.size.width >= (57 if beside else 70) for widget in (first, second))
        assert all(picture.size.height >= 5 for picture in (app.main.stage.first, app.main.stage.picture))
        a, b = (line.count("█") for line in ("".join(bars).replace("A  ", "").rsplit("·Paris", 1)))
        assert a == pytest.approx(2 * b, abs=1), "0.6 is twice as long as 0.3"
        assert "0-80 %" in lines[a_line][a_column:]
        assert "0-80 %" in lines[b_line][b_column:]
        assert "B: another text" in screen(app)
        told = next(line for line in lines if "p first" in line)
        assert "A 60 %" in told
        assert "B 30 %" in told
        assert "B − A -30 points" in told
        assert "total" in lines[lines.index(told) + 1], "times come last"
        assert "layer ◂" in screen(app)
        assert not app.main.words.beside


@pytest.mark.parametrize("size", [SMALL, MIDDLE, WIDE])
async def test_both_maps_have_one_legend(open_app: OpenApp, engine: FakeEngine, size: tuple[int, int]) -> None:
    def changes(top: float) -> Frame:
        values = Array.of([[top * row * column for column in range(12)] for row in range(12)])
        return Frame("done", (Heatmap("changes", values, unit="logits", key="first"),), {"tokens": 11})

    async with open_app("attention", size) as (app, pilot):
        await compare(app, pilot, engine, changes(0.5), changes(2.0))
        legends = screen(app).count(" 242  logits")
        assert legends == 2
        assert all(isinstance(widget, HeatmapView) for widget in drawn(app))
        first, second = drawn(app)
        assert first.view.range == second.view.range == (0.0, 242.0)


@pytest.mark.parametrize("size", [MIDDLE, WIDE])
async def test_curves_are_equally_high_and_whole(open_app: OpenApp, engine: FakeEngine, size: tuple[int, int]) -> None:
    def times(factor: float) -> Frame:
        lines = tuple(structs.replace(s, y=tuple(factor * y for y in s.y)) for s in gallery.curve().series)
        return Frame("done", (structs.replace(gallery.curve(), series=lines, key="first"),), {"speedup": factor})

    async with open_app("kv-cache", size) as (app, pilot):
        await compare(app, pilot, engine, times(1.0), times(2.0))
        first, second = drawn(app)
        assert first.size == second.size
        assert first.size.height <= app.main.stage.first.size.height
        assert screen(app).count("1,000┤") == 2
        assert screen(app).count("with cache   ") >= 2


async def test_a_stays_while_b_runs_and_letting_go_gives_the_single_picture_back(
    open_app: OpenApp, engine: FakeEngine
) -> None:
    frame = structs.replace(answer(LONG, 11), views=(structs.replace(gallery.heatmaps()[0], key="first"),))
    engine.manual = True
    async with open_app("attention") as (app, pilot):
        engine.ready()
        await press(pilot, "r")
        await finished(app, pilot, engine, frame)
        await press(pilot, "up", "left", "a")
        assert marks(app) == ["A"]
        app.main.choose_preset(1)
        await settle(pilot)
        assert marks(app) == ["A"]
        engine.frame(Frame("so far nothing to see", (), {}, 0.1))
        await settle(pilot)
        assert marks(app) == ["A"]
        engine.frame(structs.replace(frame, progress=0.5))
        await until(pilot, lambda: marks(app) == ["A", "B"])
        engine.finish()
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await settle(pilot)
        first, second = drawn(app)
        assert isinstance(first, HeatmapView)
        assert isinstance(second, HeatmapView)
        assert first.cursor == second.cursor == (3, 1), "A's cursor is where it was when it was the only picture"
        assert app.focused is second
        await press(pilot, "down")
        await press(pilot, "r")
        await finished(app, pilot, engine, frame)
        first, second = drawn(app)
        assert isinstance(first, HeatmapView)
        assert isinstance(second, HeatmapView)
        assert (first.cursor, second.cursor) == ((3, 1), (4, 1))
        await press(pilot, "a")
        (only,) = drawn(app)
        assert isinstance(only, HeatmapView)
        assert (only.mark, only.cursor) == ("", (4, 1))
        assert app.focused is only
        assert not app.main.stage.first.children
        assert "B:" not in screen(app)


async def test_all_differences_are_on_a_tab_below_each_other(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app("attention") as (app, pilot):
        other = answer(LONG.replace("mat", "sofa"), 14)
        await compare(app, pilot, engine, answer(LONG, 11), other)
        await press(pilot, "left_square_bracket")
        assert app.main.stage.tabs.current == DIFFERENCES
        titles = ["A | B: what was changed", "A | B: measured", "A | B: answer"]
        assert [widget.view.title for widget in drawn(app)] == titles
        assert marks(app) == ["", "", ""]
        tops = [screen(app).index(title) for title in titles]
        assert tops == sorted(tops)
        await press(pilot, "r")
        await finished(app, pilot, engine, answer(LONG, 11))
        assert [widget.view.title for widget in drawn(app)] == [titles[0], "A | B: the same in both"]
        await press(pilot, "r")
        await finished(app, pilot, engine, other)
        assert [widget.view.title for widget in drawn(app)] == titles
        await press(pilot, "right_square_bracket")
        assert marks(app) == ["A", "B"]
        await press(pilot, "left_square_bracket", "a")
        assert marks(app) == [""]
        assert DIFFERENCES not in app.main.stage.tabs.names
        assert not [widget for widget in app.query(ViewWidget) if widget.view.title in titles]


async def test_what_an_open_bet_asks_is_in_no_difference(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        assert "tokens" in app.main.steps.undecided(app.main.catalog["tokens"])
        await compare(
            app,
            pilot,
            engine,
            likely(0.6, 0.1),
            structs.replace(likely(0.3, 0.1), measured={"p_first": 0.3, "tokens": 14}),
        )
        assert not any(row[0] == "tokens" for view in shown(app) if isinstance(view, Table) for row in view.rows)
        assert "p first" in screen(app)
        assert not any(line.strip().startswith("tokens") for line in screen(app).split("\n"))
        await press(pilot, "space")
        assert app.main.result.form.question is not None
        assert marks(app) == []
        assert "B:" not in screen(app)
        assert "your bet first" in screen(app)


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
    """You should see two maps with one legend, marked A and B, one above the other; below them what was changed and in
    what the runs differ."""

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
