"""Help, code and the palette."""

from __future__ import annotations

import pytest
from textual.command import CommandPalette
from textual.widgets import Input, OptionList, Static

from llm_holes.tui.actions import GLOBAL
from llm_holes.tui.screens.code import CodeScreen, Listing
from llm_holes.tui.screens.help import HelpScreen
from llm_holes.tui.state.sources import source, sources
from tests.support.app import OpenApp, settle, until
from tests.support.fake_link import FakeEngine


async def test_help_lists_the_focused_widgets_keys_and_all_that_is_possible(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await pilot.press("question_mark")
        await settle(pilot)
        assert isinstance(app.screen, HelpScreen)
        text = " ".join(str(app.screen.query_one(Static).render()).split())
        impossible = {"cancel", "bet", "back", "pin", "keep", "share", "intact", "other-engine"}
        impossible |= {"tab-left", "tab-right", "dials", "step-back"}
        possible = [action for action in GLOBAL if action.id not in impossible]
        assert [action.id for action in possible if action.tooltip not in text] == []
        await pilot.press("q")
        await settle(pilot)
        assert len(app.screen_stack) == 2, "q leaves the program from the main screen, and closes nothing"
        await pilot.press("escape")
        await settle(pilot)
        assert len(app.screen_stack) == 1


async def test_every_dialog_closes_with_escape_and_with_ctrl_c(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        for key in ("question_mark", "c", "P", "g", "slash", "z", "v", "i", "f"):
            for closing in ("escape", "ctrl+c"):
                await pilot.press(key)
                await settle(pilot)
                assert len(app.screen_stack) == 2, key
                await pilot.press(closing)
                await settle(pilot)
                assert len(app.screen_stack) == 1, key


@pytest.mark.parametrize("key", ["question_mark", "slash", "z", "f", "ctrl+p"])
async def test_ctrl_q_leaves_the_program_from_any_dialog(open_app: OpenApp, key: str) -> None:
    async with open_app() as (app, pilot):
        await pilot.press(key)
        await settle(pilot)
        assert len(app.screen_stack) == 2, key
        await pilot.press("ctrl+q")
        await pilot.pause()
        assert not app.is_running


async def test_c_shows_the_experiment_and_what_it_is_built_on(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await pilot.press("c")
        await settle(pilot)
        assert isinstance(app.screen, CodeScreen)
        listing = app.screen.query_one(Listing)
        assert "tier1.tokens" in str(listing.border_title)
        assert "def run(" in str(app.screen.query_one("#code", Static).render())
        await pilot.press("n")
        await settle(pilot)
        assert "class Heatmap(" in str(app.screen.query_one("#code", Static).render())
        assert "2 of 3" in str(listing.border_title)


def test_code_is_found_without_importing_it() -> None:
    found = source("llm_holes.engine.frames:Array.numpy")
    assert found.text.lstrip().startswith("def numpy(self)")
    assert found.line > 10
    assert source("llm_holes.engine.ipc.messages:MAX_MESSAGE").text == "MAX_MESSAGE = 64 * 2**20\n"


def test_code_that_is_not_there_says_so() -> None:
    assert "not in this module" in source("llm_holes.engine.frames:Nothing").text
    assert "not there yet" in source("llm_holes.lessons.nothing").text


async def test_the_palette_finds_lessons_terms_presets_and_actions(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        for query, opened in (("hole: attention", "attention"), ("term: fewer bits", "quantization")):
            await pilot.press("ctrl+p")
            await until(pilot, lambda: isinstance(app.screen, CommandPalette))
            app.screen.query_one(Input).value = query
            await until(pilot, lambda: app.screen.query_one(OptionList).option_count)
            await settle(pilot)
            await pilot.press("enter", "enter")
            await until(pilot, lambda opened=opened: app.main.lesson is not None and app.main.lesson.id == opened)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        assert app.screen.query_one(Input).cursor_blink is False
        app.screen.query_one(Input).value = "preset: strange"
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 1)
        await settle(pilot)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: engine.runs)
        assert engine.runs[-1].settings["text"] == "strawberry [b]strawberry[/b]"


def test_sources_of_a_lesson(catalog: object) -> None:
    from llm_holes.lessons.catalog.catalog import Catalog

    assert isinstance(catalog, Catalog)
    assert [item.name.rpartition(".")[2] for item in sources(catalog["tokens"])] == [
        "experiment",
        "frames:Heatmap",
        "frames:series",
    ]


async def test_a_run_goes_on_behind_a_dialog(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await pilot.press("r", "question_mark")
        await settle(pilot)
        engine.frame(engine.frames["tokens"][-1])
        engine.finish()
        app.main._tick()
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await settle(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert app.main.session.frame is not None
        assert app.main.frame is app.main.session.frame
