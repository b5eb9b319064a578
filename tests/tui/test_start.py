"""What the first screen waits for, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest
from textual.css.stylesheet import Stylesheet

from tests.support.app import MakeApp, press, settle


async def test_the_map_is_painted_before_there_is_a_page(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app()
    painted: list[tuple[bool, str]] = []
    display = app._display

    def noted(screen: Any, renderable: Any) -> None:
        display(screen, renderable)
        painted.append((app.main.page is not None, str(app.main.status.region) if renderable is not None else ""))

    monkeypatch.setattr(app, "_display", noted)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert next(page for page, what in painted if what) is False
        assert app.main.holes.region.height > 30
        assert app.main.page is not None
        assert app.main.words.lesson is app.main.lesson is not None


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
