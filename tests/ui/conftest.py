"""The app on a recorded engine, with nothing of the outside world in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from textual.pilot import Pilot

from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.tui.app import HolesApp
from tests.support import gallery
from tests.support.fake_link import FakeEngine

MakeApp = Callable[..., HolesApp]
OpenApp = Callable[..., AbstractAsyncContextManager[tuple[HolesApp, Pilot[None]]]]


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


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return gallery.catalog(tmp_path_factory.mktemp("lessons"))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(gallery.frames())


@pytest.fixture
def make_app(engine: FakeEngine, catalog: Catalog) -> MakeApp:
    """An app whose clock stands still, so that no snapshot holds a time."""

    def make(lesson: str | None = "tokens") -> HolesApp:
        return HolesApp([], lesson, link=engine.link, catalog=catalog, clock=lambda: 0.0)

    return make


@pytest.fixture
def open_app(make_app: MakeApp) -> OpenApp:
    @asynccontextmanager
    async def opened(
        lesson: str | None = "tokens", size: tuple[int, int] = (120, 40)
    ) -> AsyncIterator[tuple[HolesApp, Pilot[None]]]:
        app = make_app(lesson)
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            yield app, pilot

    return opened


async def settle(pilot: Pilot[None]) -> None:
    """Waits until the workers are done and what they posted has been handled."""
    for _ in range(3):
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


async def until(pilot: Pilot[None], true: Callable[[], object], seconds: float = 5) -> None:
    """Waits until `true()`. Fails after `seconds`."""
    for _ in range(int(seconds / 0.02)):
        await pilot.pause(0.02)
        if true():
            return
    pytest.fail("the condition did not come true")


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Presses the keys and waits until the app has dealt with them."""
    await pilot.press(*keys)
    await settle(pilot)


async def done(app: HolesApp, pilot: Pilot[None]) -> None:
    """Waits until the run is finished and its results are drawn."""
    await until(pilot, lambda: app.session.run.phase == "done")
    await settle(pilot)
