"""Driving the app through Textual's pilot."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from textual.pilot import Pilot

from llm_holes.tui.app import HolesApp
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.widgets.words import WordsPane

MakeApp = Callable[..., HolesApp]
OpenApp = Callable[..., AbstractAsyncContextManager[tuple[HolesApp, Pilot[None]]]]


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
    await until(pilot, lambda: app.main.session.run.phase == "done")
    await settle(pilot)


def said_in(words: WordsPane) -> str:
    """What the words of a step read, as plain lines."""
    return "\n".join(map(plain, words.rows(max(words.content_size.width, 1))))
