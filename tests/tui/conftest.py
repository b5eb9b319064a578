"""The app on a recorded engine, with nothing of the outside world in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from textual.pilot import Pilot

from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.tui.app import HolesApp
from llm_holes.tui.screens import dialogs, lesson
from tests.support import gallery
from tests.support.app import MakeApp, OpenApp, settle
from tests.support.fake_link import FakeEngine


class Unmixed(Random):
    """The options of a quiz stay in their order, so that tests can name them by number."""

    def sample(self, population: Any, k: int, *, counts: Any = None) -> list[Any]:
        return list(population)[:k]


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "TEXTUAL_ANIMATIONS": "none",
        "LLM_HOLES_STATE": str(tmp_path_factory.mktemp("state")),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dialogs, "Random", Unmixed)
    # a step that runs by itself after half a second would make every test a race; those about it shorten this again
    monkeypatch.setattr(lesson, "STEP_RUNS_AFTER", 3600.0)


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return gallery.catalog(tmp_path_factory.mktemp("lessons"))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(gallery.frames())


@pytest.fixture
def make_app(engine: FakeEngine, catalog: Catalog) -> MakeApp:
    """An app whose clock stands still, so that no snapshot holds a time."""

    def make(first: str | None = "tokens") -> HolesApp:
        return HolesApp([], first, link=engine.link, catalog=catalog, clock=lambda: 0.0)

    return make


@pytest.fixture
def open_app(make_app: MakeApp) -> OpenApp:
    @asynccontextmanager
    async def opened(
        first: str | None = "tokens", size: tuple[int, int] = (120, 40)
    ) -> AsyncIterator[tuple[HolesApp, Pilot[None]]]:
        app = make_app(first)
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            yield app, pilot

    return opened
