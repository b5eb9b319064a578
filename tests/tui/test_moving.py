"""Moving in the map, between lessons, steps and views."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.widgets import Input, OptionList

from llm_holes.tui.app import HolesApp
from llm_holes.tui.messages import Changed
from llm_holes.tui.screens.glossary import GlossaryScreen
from llm_holes.tui.screens.search import SearchScreen
from llm_holes.tui.widgets.lesson_tree import LessonTree
from llm_holes.tui.widgets.lines import HintLine, KeyBar
from llm_holes.tui.widgets.text_field import TextField
from tests.support.app import OpenApp, done, press, said_in, settle, until
from tests.support.fake_link import FakeEngine


def at(app: HolesApp) -> str:
    lesson = app.query_one(LessonTree).at
    return lesson.id if lesson else ""


def hint(app: HolesApp) -> str:
    return app.query_one(HintLine).text


async def test_arrows_and_letters_walk_the_tree(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "escape")
        assert at(app) == "tokens"
        await press(pilot, "j")
        assert at(app) == "embeddings"
        await press(pilot, "right")
        assert at(app) == "weights"
        await press(pilot, "h")
        assert at(app) == "embeddings"
        await press(pilot, "left")
        assert app.query_one(LessonTree).nodes["embeddings"].is_collapsed
        await press(pilot, "l", "l", "down", "k")
        assert at(app) == "weights"
        await press(pilot, "h", "h", "h", "up", "up")
        assert at(app) == "what-happens"


async def test_left_goes_up_from_a_leaf_and_stops_at_the_root(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "escape", "h", "h", "h")
        assert at(app) == "what-happens"
        assert app.query_one(LessonTree).nodes["what-happens"].is_collapsed


async def test_enter_opens_and_shift_b_goes_back(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "escape", "j", "j", "j", "enter")
        assert app.main.lesson is not None
        assert app.main.lesson.id == "attention"
        await press(pilot, "B")
        assert app.main.lesson.id == "tokens"
        assert at(app) == "tokens"
        assert not app.main.check_action("back", ())


async def test_a_folded_lesson_is_shown_in_the_tree_when_opened(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        app.main.open_lesson("quantization")
        await settle(pilot)
        assert at(app) == "quantization"


async def test_a_lesson_is_painted_with_its_own_step_first_and_then_at_once(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space")
        assert app.main.step == 1
        seen: list[tuple[str, int, bool]] = []
        paint = app._display

        def noted(screen: Any, renderable: Any) -> None:
            paint(screen, renderable)
            lesson, dials = app.main.words.lesson, app.main.dials.controls()
            own = lesson is not None and {dial.control.name for dial in dials} == set(lesson.defaults())
            seen.append((lesson.id if lesson else "", app.main.words.step, own))

        monkeypatch.setattr(app, "_display", noted)
        app.main.open_lesson("attention")
        await settle(pilot)
        of_it = [(step, own) for lesson, step, own in seen if lesson == "attention"]
        assert of_it[0] == (0, False), "the words came with everything else, and so later"
        assert {step for step, _ in of_it} == {0}
        assert [own for _, own in of_it[1:]] == [True] * (len(of_it) - 1), "the dials came in parts"


async def test_search_finds_titles_terms_and_text_and_enter_jumps(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        for query, expected in (("cach", "kv-cache"), ("fewer bits term", "quantization"), ("unheard of", None)):
            await press(pilot, "slash", *query.replace(" ", "_").replace("_", " ").split(" ")[0])
            field = app.screen.query_one(Input)
            field.value = query
            await settle(pilot)
            options = app.screen.query_one(OptionList)
            assert (options.get_option_at_index(0).id == expected) or (expected is None and options.highlighted is None)
            await press(pilot, "enter")
            if expected is None:
                assert isinstance(app.screen, SearchScreen)
            else:
                assert app.main.lesson is not None
                assert app.main.lesson.id == expected


async def test_search_in_texts_shows_where(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "slash", *"separate")
        options = app.screen.query_one(OptionList)
        assert "separate program" in str(options.get_option_at_index(0).prompt)
        await press(pilot, "down", "down", "up", "enter")
        assert app.main.lesson is not None
        assert app.main.lesson.id == [*app.main.catalog.lessons][1] == "tokens"


async def test_the_glossary_narrows_while_typing_and_enter_opens_the_hole(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "i")
        options = app.screen.query_one(OptionList)
        assert options.option_count == 7
        await press(pilot, *"fewer")
        assert options.option_count == 1
        assert "What the lesson called Fewer bits explains." in str(options.get_option_at_index(0).prompt)
        await press(pilot, "enter")
        assert app.main.lesson is not None
        assert app.main.lesson.id == "quantization"
        await press(pilot, "i", *"zzz", "enter")
        assert isinstance(app.screen, GlossaryScreen)


async def test_d_goes_on_in_reading_order_and_u_goes_up(open_app: OpenApp) -> None:
    async with open_app("kv-cache") as (app, pilot):
        assert ("d", "next: Fewer bits") in [entry[:2] for entry in app.query_one(KeyBar).keys]
        await press(pilot, "d")
        assert app.main.lesson is not None
        assert app.main.lesson.id == "quantization"
        assert not app.main.check_action("next", ())
        await press(pilot, "d", "u")
        assert app.main.lesson.id == "kv-cache"
        await press(pilot, "u")
        assert app.main.lesson.id == "what-happens"
        assert not app.main.check_action("up", ())
        await press(pilot, "d")
        assert app.main.lesson.id == "tokens"
        await press(pilot, "B", "B")
        assert app.main.lesson.id == "kv-cache"


async def test_space_walks_the_steps_and_backspace_goes_back(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        words = app.main.words
        assert said_in(words).startswith("A piece at a time.")
        await press(pilot, "space", "s")
        assert said_in(words).startswith("How many pieces.")
        await press(pilot, "space")
        assert said_in(words).startswith("What is dear.")
        assert "●●● step 3 of 3" in str(app.main.status.render())
        await press(pilot, "backspace", "backspace", "backspace")
        assert said_in(words).startswith("A piece at a time.")
        assert "●○○ step 1 of 3" in str(app.main.status.render())


async def test_from_a_picture_to_another_lesson_the_stage_keeps_the_focus(open_app: OpenApp) -> None:
    async with open_app("attention") as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        assert app.focused is app.main.stage.target is not app.main.stage.picture
        await press(pilot, "d")
        assert app.focused is app.main.stage.picture
        await press(pilot, "space")
        assert app.main.step == 1


async def test_a_click_on_a_link_and_g_lead_to_other_lessons(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space", "s", "space")
        rows = said_in(app.main.words).splitlines()
        y = next(n for n, row in enumerate(rows) if "embeddings" in row)
        await pilot.click(app.main.words, offset=(1 + rows[y].index("embeddings"), y))
        await settle(pilot)
        assert app.main.lesson is not None
        assert app.main.lesson.id == "embeddings"
        await press(pilot, "g", "j", "enter")
        assert app.main.lesson.id != "embeddings"


async def test_the_stages_of_the_lesson_are_lit_in_one_line(open_app: OpenApp) -> None:
    async with open_app("kv-cache", (160, 45)) as (app, _):
        assert "layers[ ▣attention · FFN ]" in str(app.main.stage_line.render())


async def test_later_views_are_closed_until_their_step_and_brackets_turn_the_open_ones(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        tabs = app.main.stage.tabs
        assert (tabs.current, tabs.closed) == ("first", {"second", "third"})
        await press(pilot, "right_square_bracket")
        assert tabs.current == "first"
        await press(pilot, "space", "s")
        await done(app, pilot)
        assert (tabs.current, tabs.closed) == ("second", {"third"})
        await press(pilot, "left_square_bracket")
        assert tabs.current == "first"
        await press(pilot, "space")
        assert (tabs.current, tabs.closed) == ("third", set())
        await press(pilot, "right_square_bracket")
        assert tabs.current == "first"


async def test_escape_goes_one_level_out_each_time(open_app: OpenApp) -> None:
    async with open_app(size=(80, 24)) as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        await press(pilot, "e")
        assert isinstance(app.focused, TextField)
        await press(pilot, "x", "escape")
        assert app.focused is app.main.stage.target
        assert app.query_one(TextField).text == "What happens when you send a message to a model?"
        await press(pilot, "escape")
        assert isinstance(app.focused, LessonTree)
        assert app.main.holes.region.width > 40
        await press(pilot, "escape")
        assert app.focused is app.main.stage.target
        assert not app.main.holes.region.width


async def test_the_map_is_always_there_from_110_columns_and_can_be_folded(open_app: OpenApp) -> None:
    async with open_app(size=(120, 40)) as (app, pilot):
        holes, words, stage = app.main.holes, app.main.words, app.main.stage
        assert holes.region.width == 26
        assert words.region.bottom <= stage.region.y
        await press(pilot, "M")
        assert not holes.region.width
        assert words.region.right <= stage.region.x, "words and picture side by side"
        await press(pilot, "M")
        assert holes.region.width == 26


async def test_words_stand_beside_the_picture_on_wide_screens(open_app: OpenApp) -> None:
    async with open_app(size=(160, 45)) as (app, _):
        regions = [app.main.holes.region, app.main.words.region, app.main.stage.region]
        assert regions[0].right <= regions[1].x <= regions[1].right <= regions[2].x
        assert regions[2].width > 80


async def test_tiny_screens_say_what_they_need(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        for size in ((59, 20), (80, 15), (10, 5), (1, 1)):
            await pilot.resize_terminal(*size)
            await settle(pilot)
            assert app.query_one("#small").display
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert not app.query_one("#small").display


def rows(app: HolesApp) -> list[str]:
    return ["".join(segment.text for segment in strip).rstrip() for strip in app.screen._compositor.render_strips()]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 45)])
@pytest.mark.parametrize("key", ["escape", "e", "tab"])
async def test_after_a_shrink_and_back_the_screen_is_whole(size: tuple[int, int], key: str, open_app: OpenApp) -> None:
    async with open_app("kv-cache", size) as (app, pilot):
        await press(pilot, "r")
        await done(app, pilot)
        await press(pilot, key)
        before, focused = rows(app), app.focused
        for small in ((59, 20), (80, 15), (10, 5)):
            await pilot.resize_terminal(*small)
            await settle(pilot)
            said = " ".join(rows(app)).split()
            assert " ".join(said).startswith("llm-holes needs a terminal of at least 60 ×")
            assert len(said) <= 10, "and nothing else"
            await pilot.resize_terminal(*size)
            await settle(pilot)
            assert rows(app) == before
            assert app.focused is focused


async def test_footer_shows_what_is_possible_now(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):

        def labels() -> list[str]:
            return [label for _, label, _ in app.query_one(KeyBar).keys]

        assert "open" not in labels()
        assert "stop" not in labels()
        await press(pilot, "escape")
        assert "open" in labels()
        await press(pilot, "escape", "tab")
        assert "open" not in labels()
        assert {"run", "all keys", "quit"} <= set(labels())


async def test_q_asks_twice_while_something_runs(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "r", "q")
        assert app.is_running
        assert any("q again leaves" in note.message for note in app._notifications)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)


async def test_digits_open_nothing(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        before, focused = rows(app), app.focused
        await press(pilot, *"123456789")
        assert rows(app) == before
        assert app.focused is focused


async def test_theme_switches_and_q_leaves_at_once(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        assert app.theme == "holes-dark"
        await press(pilot, "t")
        assert app.theme == "holes-light"
        await pilot.press("q")
        await pilot.pause()
        assert app._exit


async def test_a_lesson_that_is_opened_twice_at_once_is_whole(open_app: OpenApp) -> None:
    async with open_app("tokens") as (app, pilot):
        app.main.open_lesson("attention")
        await asyncio.sleep(0)
        app.main.open_lesson("attention")
        await settle(pilot)
        assert app.main.lesson is not None
        assert {widget.control.name for widget in app.main.dials.controls()} == set(app.main.lesson.defaults())


async def test_what_a_dial_of_the_lesson_before_still_says_is_not_heard(open_app: OpenApp) -> None:
    async with open_app("attention") as (app, pilot):
        app.main.open_lesson("tokens")
        app.main.post_message(Changed("layer", 3))
        app.main.choose_preset(99)
        await settle(pilot)
        lesson = app.main.catalog["tokens"]
        assert set(app.main.settings.of(lesson)) == set(lesson.defaults())
