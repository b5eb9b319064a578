"""Walking among points and along the parts a text passes through."""

from __future__ import annotations

from textual.pilot import Pilot

from llm_holes.lessons.catalog import catalog
from llm_holes.tui.app import HolesApp
from llm_holes.tui.views.flow import FlowView
from llm_holes.tui.views.places import PlacesView, ScatterView
from tests.support.app import settle, until
from tests.support.fake_link import FakeEngine, recording
from tests.support.paths import RECORDINGS


def app_of(lesson: str) -> tuple[HolesApp, FakeEngine]:
    engine = FakeEngine({lesson: recording(RECORDINGS / f"{lesson}.msgpack")})
    return HolesApp([], lesson, link=engine.link, catalog=catalog.load(), clock=lambda: 0.0), engine


async def after_its_run(app: HolesApp, pilot: Pilot[None], kind: type[PlacesView]) -> PlacesView:  # type: ignore[type-arg]
    """Runs the lesson, walks its steps past their bets and turns the views until one of this kind is on the stage."""
    await settle(pilot)
    await pilot.press("r")
    await until(pilot, lambda: app.main.session.run.phase == "done")
    while app.main.step + 1 < len(app.main.lesson.steps):  # type: ignore[union-attr]
        await pilot.press("space", "s")
        await settle(pilot)
    await pilot.press("r")
    await until(pilot, lambda: app.main.session.run.phase == "done")
    await settle(pilot)
    for _ in app.main.stage.tabs.names:
        if isinstance(app.main.stage.target, kind):
            return app.main.stage.target
        await pilot.press("right_square_bracket")
        await settle(pilot)
    raise AssertionError(f"no view is a {kind.__name__}")


async def test_a_stage_opens_its_hole_and_back_leads_back() -> None:
    app, _ = app_of("what-happens")
    async with app.run_test(size=(160, 45)) as pilot:
        view = await after_its_run(app, pilot, FlowView)
        stages = view.view.stages
        target = next(n for n, stage in enumerate(stages) if n and stage.hole)
        await pilot.press(*["down"] * target)
        assert view.cursor == (target, 0)
        assert stages[target].name in view.describe()
        await pilot.press("enter")
        await settle(pilot)
        assert app.main.lesson is not None
        assert app.main.lesson.id == stages[target].hole
        await pilot.press("B")
        await settle(pilot)
        assert app.main.lesson.id == "what-happens"


async def test_the_cursor_walks_to_the_next_point_and_enter_takes_its_word() -> None:
    app, engine = app_of("embeddings")
    async with app.run_test(size=(160, 45)) as pilot:
        view = await after_its_run(app, pilot, ScatterView)
        await pilot.press("home")
        leftmost = view.cursor[1]
        seen = {leftmost}
        for _ in range(len(view.view.labels)):
            await pilot.press("right")
            seen.add(view.cursor[1])
        assert len(seen) > 2
        await pilot.press("enter")
        await settle(pilot)
        word = view.view.labels[view.cursor[1]]
        assert engine.requests[-1].settings["word"] == word  # type: ignore[union-attr]
