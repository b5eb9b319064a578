"""Moving in the tree, between lessons and between panes."""

from __future__ import annotations

import pytest
from textual.widgets import Input, Markdown, OptionList

from llm_holes.tui.app import HolesApp
from llm_holes.tui.screens.glossary import GlossaryScreen
from llm_holes.tui.screens.pick import PickScreen
from llm_holes.tui.screens.search import SearchScreen
from llm_holes.tui.widgets.lesson_page import LessonHead, LessonPage
from llm_holes.tui.widgets.lesson_tree import LessonTree
from llm_holes.tui.widgets.lines import HintLine, KeyBar
from llm_holes.tui.widgets.live_panel import LivePanel
from tests.support.app import OpenApp, press, settle


def at(app: HolesApp) -> str:
    lesson = app.query_one(LessonTree).at
    return lesson.id if lesson else ""


def hint(app: HolesApp) -> str:
    return app.query_one(HintLine).text


async def test_arrows_and_letters_walk_the_tree(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
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
        await press(pilot, "h", "h", "h")
        assert at(app) == "what-happens"
        assert app.query_one(LessonTree).nodes["what-happens"].is_collapsed


async def test_enter_opens_and_b_goes_back(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "j", "j", "j", "enter")
        assert app.main.lesson is not None
        assert app.main.lesson.id == "attention"
        await press(pilot, "b")
        assert app.main.lesson.id == "tokens"
        assert at(app) == "tokens"
        assert not app.main.check_action("back", ())


async def test_a_folded_lesson_is_shown_in_the_tree_when_opened(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        app.main.open_lesson("quantization")
        await settle(pilot)
        assert at(app) == "quantization"


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


async def test_d_goes_deeper_and_u_goes_up(open_app: OpenApp) -> None:
    async with open_app("kv-cache") as (app, pilot):
        await press(pilot, "d")
        assert app.main.lesson is not None
        assert app.main.lesson.id == "quantization"
        assert not app.main.check_action("deeper", ())
        await press(pilot, "d", "u")
        assert app.main.lesson.id == "kv-cache"
        await press(pilot, "u")
        assert app.main.lesson.id == "what-happens"
        assert not app.main.check_action("up", ())
        await press(pilot, "d")
        assert isinstance(app.screen, PickScreen), "there are several holes below"
        await press(pilot, "j", "enter")
        assert app.main.lesson.id == "embeddings"
        await press(pilot, "b", "b")
        assert app.main.lesson.id == "kv-cache"


async def test_the_objective_stays_in_sight(open_app: OpenApp) -> None:
    for size in ((80, 24), (120, 40), (160, 45)):
        async with open_app("kv-cache", size) as (app, pilot):
            await press(pilot, "r", "s")
            for pane in ("2", "3"):
                await press(pilot, pane, *["j"] * 30)
                said = " ".join(strip.text for strip in app.screen._compositor.render_strips())
                assert "aim  See what the model does with kv cache" in said


async def test_links_and_g_lead_to_other_lessons(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        page = app.query_one(LessonPage)
        page.post_message(Markdown.LinkClicked(page.query_one(Markdown), "hole:kv-cache"))
        await settle(pilot)
        assert app.main.lesson is not None
        assert app.main.lesson.id == "kv-cache"
        await press(pilot, "g", "j", "enter")
        assert app.main.lesson.id == "quantization"


async def test_header_shows_place_and_stages(open_app: OpenApp) -> None:
    async with open_app("kv-cache", (160, 45)) as (app, _):
        head = str(app.query_one(LessonHead).render())
        assert head.splitlines()[:2] == ["What happens when you send a message", "KV cache and what context costs"]
        assert "[▣attn·FFN]" in head


async def test_only_one_pane_shows_on_eighty_columns(open_app: OpenApp) -> None:
    async with open_app(size=(80, 24)) as (app, pilot):
        panes = (app.query_one(LessonTree), app.query_one(LessonPage), app.query_one(LivePanel))

        def shown() -> list[bool]:
            return [pane.region.width > 40 and pane.region.height > 10 for pane in panes]

        assert shown() == [True, False, False]
        await press(pilot, "enter")
        assert shown() == [False, True, False]
        await press(pilot, "w")
        assert shown() == [False, False, True]
        await press(pilot, "w", "2")
        assert shown() == [False, True, False]
        await press(pilot, "r", "s")
        assert shown() == [False, False, True]


async def test_all_panes_show_side_by_side_on_wide_screens(open_app: OpenApp) -> None:
    async with open_app(size=(160, 45)) as (app, _):
        regions = [app.query_one(kind).region for kind in (LessonTree, LessonPage, LivePanel)]
        assert all(region.height > 35 and region.width > 35 for region in regions)
        assert regions[0].right <= regions[1].x <= regions[1].right <= regions[2].x


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
@pytest.mark.parametrize("pane", ["1", "2", "3"])
async def test_after_a_shrink_and_back_the_screen_is_whole(size: tuple[int, int], pane: str, open_app: OpenApp) -> None:
    async with open_app("kv-cache", size) as (app, pilot):
        await press(pilot, pane)
        before, focused = rows(app), app.focused
        for small in ((59, 20), (80, 15), (10, 5)):
            await pilot.resize_terminal(*small)
            await settle(pilot)
            said = " ".join(rows(app)).split()
            assert " ".join(said).startswith("llm-holes needs a terminal of at least 60 ×")
            assert len(said) <= 10, "and nothing else"
            await pilot.resize_terminal(*size)
            await settle(pilot)
            # a page that was scrolled is laid out anew
            same = slice(None) if pane == "1" else slice(0, 2)
            assert rows(app)[same] == before[same]
            assert rows(app)[-2:] == before[-2:]
            assert app.focused is focused


async def test_footer_shows_what_is_possible_now(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):

        def labels() -> list[str]:
            return [label for _, label, _ in app.query_one(KeyBar).keys]

        assert "open" in labels()
        assert "stop" not in labels()
        await press(pilot, "3")
        assert "open" not in labels()
        assert {"previous", "run", "help", "quit"} <= set(labels())


async def test_theme_switches_and_q_leaves_at_once(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        assert app.theme == "holes-dark"
        await press(pilot, "t")
        assert app.theme == "holes-light"
        await pilot.press("q")
        await pilot.pause()
        assert app._exit
