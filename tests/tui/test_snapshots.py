"""Pictures of the whole screen, drawn from recorded frames. Look at the report before accepting a changed one."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from llm_holes.engine.ipc.messages import Status
from tests.support.app import MakeApp, settle
from tests.support.fake_link import FakeEngine
from tests.support.pictures import MIDDLE, SMALL, WIDE, Compare, after


@pytest.mark.parametrize("size", [SMALL, MIDDLE, WIDE], ids=str)
def test_start(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see the first step's words above empty axes, the dials below; from 110 columns on also the map."""
    assert snap_compare(make_app(), terminal_size=size, run_before=after())


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_map(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see the map with the lesson on the page marked; at 80 columns it covers the page."""
    assert snap_compare(make_app("kv-cache"), terminal_size=size, run_before=after("escape"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE, WIDE], ids=str)
def test_tokens(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see chips with their ids under them, control characters as visible marks, a table, a shaded strip."""
    assert snap_compare(make_app(), terminal_size=size, run_before=after("run"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_heatmap_with_cursor(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see a triangle of squares, brackets around the cursor's cell, and its facts in the line below."""
    keys = ("run", "down")
    assert snap_compare(make_app("attention"), terminal_size=size, run_before=after(*keys))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_curve_and_bars(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see a rising line and a dashed flat one with error marks, axes with round numbers, and bars."""
    assert snap_compare(make_app("kv-cache"), terminal_size=size, run_before=after("run"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_diff_and_text(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see words marked [-gone-] and [+come+], and the model's text with a bar at its left."""
    assert snap_compare(make_app("quantization"), terminal_size=size, run_before=after("run"))


def test_preset(snap_compare: Compare, make_app: MakeApp) -> None:
    """You should see the first preset's name and why it is there."""
    assert snap_compare(make_app("kv-cache"), terminal_size=MIDDLE, run_before=after("p"))


def test_search(snap_compare: Compare, make_app: MakeApp) -> None:
    """You should see a dialog with lessons that mention "list", each with the place where it does."""
    assert snap_compare(make_app(), terminal_size=MIDDLE, run_before=after("slash", *"list"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_glossary(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see a dialog with every term, the hole that explains it in blue, and what it means below."""
    assert snap_compare(make_app(), terminal_size=size, run_before=after("i"))


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_help(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see the tree's keys, then all that can be done, each with a sentence."""
    assert snap_compare(make_app(), terminal_size=size, run_before=after("question_mark"))


def test_light(snap_compare: Compare, make_app: MakeApp) -> None:
    """You should see dark text on warm white; blue for what can be acted on, brown for what was measured."""
    assert snap_compare(make_app("kv-cache"), terminal_size=WIDE, run_before=after("t", "run"))


def test_without_colour(snap_compare: Compare, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """You should see a heatmap of shade characters and everything in greys."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(make_app("attention"), terminal_size=MIDDLE, run_before=after("run"))


def test_downloading(snap_compare: Compare, make_app: MakeApp, engine: FakeEngine) -> None:
    """You should see 41.0 MiB of 88.7 MiB with a bar, that a run is queued, and the lesson to read meanwhile."""
    engine.manual = True

    async def run_before(pilot: Pilot[None]) -> None:
        await settle(pilot)
        engine.say(Status("downloading", "", 43_000_000, 93_000_000))
        await pilot.press("r")
        await settle(pilot)

    assert snap_compare(make_app(), terminal_size=SMALL, run_before=run_before)


def test_engine_stopped(snap_compare: Compare, make_app: MakeApp, engine: FakeEngine) -> None:
    """You should see that the engine stopped, why, and that r starts it again."""
    engine.manual = True

    async def run_before(pilot: Pilot[None]) -> None:
        await settle(pilot)
        engine.ready()
        await pilot.press("r")
        engine.die()
        await settle(pilot)

    assert snap_compare(make_app(), terminal_size=MIDDLE, run_before=run_before)
