"""What the first screen waits for, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from textual.css.stylesheet import Stylesheet
from textual.events import Key

from llm_holes.tui.screens.search import SearchScreen
from llm_holes.tui.terminal.typeahead import Typeahead
from tests.support.app import MakeApp, press, settle, until


async def test_the_map_is_painted_before_there_is_a_page(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    display = app._display
    with_page: list[bool] = []

    def noted(screen: Any, renderable: Any) -> None:
        display(screen, renderable)
        if renderable is not None:
            with_page.append(app.main.page is not None)
            assert "Find the hole" not in app.main.hint.text  # on which the cursor is not

    monkeypatch.setattr(app, "_display", noted)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert with_page[0] is False
        assert with_page[-1] is True
        assert app.main.words.lesson is app.main.lesson is not None


async def test_what_is_typed_before_there_is_a_page_waits_for_it(make_app: MakeApp) -> None:
    app = make_app()
    display, typed = app._display, []

    def typing(screen: Any, renderable: Any) -> None:
        display(screen, renderable)
        if not typed:
            assert app.main.page is None
            typed.append(Key("slash", "/"))
            typed[0].set_sender(app)
            Typeahead(app).add(typed)

    app._display = typing  # type: ignore[method-assign]
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, SearchScreen))


async def test_styles_are_parsed_again_for_another_theme_only(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[object] = []
    reparse = Stylesheet.reparse
    monkeypatch.setattr(Stylesheet, "reparse", lambda sheet: (parsed.append(sheet), reparse(sheet))[1])
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert not parsed
        dark = app.main.status.styles.background
        await press(pilot, "t")
        assert parsed
        assert app.main.status.styles.background != dark
