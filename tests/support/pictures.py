"""Pictures of the whole screen: sizes, and what is done before one is taken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.pilot import Pilot

from tests.support.app import settle, until

Compare = Callable[..., bool]
Before = Callable[[Pilot[None]], Awaitable[None]]
STARTING = {"run": "r", "commit": "enter", "skip": "s"}
SMALL, MIDDLE, WIDE = (80, 24), (120, 40), (160, 45)


def after(*keys: str) -> Before:
    """Opens the lesson and presses the keys; run, commit and skip, which start a run, wait for its end."""

    async def run_before(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(STARTING.get(key, key))
            await settle(pilot)
            if key in STARTING:
                await until(pilot, lambda: pilot.app.main.session.run.phase == "done")  # type: ignore[attr-defined]
                await settle(pilot)

    return run_before
