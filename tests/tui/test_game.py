"""Find the hole in the app: runs carry the case, are counted, and the truth comes only with a guess."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from llm_holes.engine.frames import Frame, Table
from llm_holes.engine.ipc.messages import Case
from llm_holes.lessons.game.rules import DIFFICULTIES, FIND_THE_HOLE, GIVE_UP
from llm_holes.lessons.learner.events import Began, Graded, Named, Predicted, Probed, Ran
from llm_holes.tui.app import HolesApp
from llm_holes.tui.screens.game import BeginScreen, NameScreen
from llm_holes.tui.widgets.case_line import CaseLine
from llm_holes.tui.widgets.dial import Dial, Stepper
from llm_holes.tui.widgets.result import Caption
from tests.support.app import MakeApp, OpenApp, done, press, said_in, settle, until
from tests.support.fake_link import FakeEngine
from tests.support.pictures import MIDDLE, SMALL, Compare

TRUTH = Frame(
    "Layer 7 adds nothing: KL 2.1 nats on the passage, perplexity 36.7 → 210.5. 80 of 100 points.",
    (Table("what you named and what it was", ("", "you said", "it was"), (("layer", "7", "7"),)),),
    {"truth_kind": "layer-skipped", "truth_layer": 7, "truth_head": -1, "score": 80, "probes": 1},
)


def line(app: HolesApp) -> str:
    return str(app.query_one(CaseLine).render()) if app.query_one(CaseLine).display else ""


def events(app: HolesApp, kind: type[Any]) -> list[Any]:
    return [event for event in app.learner.events if isinstance(event, kind)]


@pytest.fixture
def engine(engine: FakeEngine) -> FakeEngine:
    engine.frames = {**engine.frames, FIND_THE_HOLE: [TRUTH]}
    return engine


async def begin(pilot: Pilot[None]) -> Case:
    """Opens a case of the easiest kind; its seed is the one that was proposed."""
    await press(pilot, "f", "enter")
    app = pilot.app
    assert isinstance(app, HolesApp)
    assert app.main.game.open_case is not None
    return app.main.game.open_case.case


async def test_from_the_tree_to_the_truth(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "escape", "end", "enter")
        assert isinstance(app.screen, BeginScreen)
        await press(pilot, "down", "4", "2", "enter")
        assert events(app, Began)[0].seed == 42
        assert "the model is broken  case 42 loud · probes 0, par 5" in line(app)

        await press(pilot, "r")
        await done(app, pilot)
        assert engine.runs[-1].case == Case(42, 1)
        assert "probes 1, par 5" in line(app)
        assert events(app, Probed)[0].saw == app.main.session.frame.caption  # type: ignore[union-attr]

        await press(pilot, "f")
        assert isinstance(app.screen, NameScreen)
        assert "case 42 · loud · 1 probe, par 5" in str(app.screen.query_one("#above", Static).render())
        assert "11 tokens for 48 characters" in str(app.screen.query_one("#above", Static).render())
        await press(pilot, "down", "7", "enter")
        await done(app, pilot)
        run = engine.runs[-1]
        assert (run.lesson, run.case) == (FIND_THE_HOLE, None)
        assert run.settings == {
            "seed": 42, "difficulty": 1, "guess_kind": "layer-skipped", "guess_layer": 7, "guess_head": -1, "probes": 1,
        }  # fmt: skip
        assert "80 of 100 points" in " ".join(str(app.query_one(Caption).render()).split())
        assert events(app, Named)[0].score == 80
        assert line(app) == ""
        await press(pilot, "f")
        assert "80 of 100" in str(app.screen.query_one("#below", Static).render())


async def test_probes_are_neither_predicted_nor_graded_nor_kept(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await begin(pilot)
        await press(pilot, "r")
        await done(app, pilot)
        assert app.main.result.form.question is None
        assert not app.main.check_action("keep", ())
        assert not any(events(app, kind) for kind in (Predicted, Graded, Ran))
        assert app.main.runs.measured(app.main.catalog["tokens"]) is None, "a quiz is not graded by the broken model"


async def test_the_intact_model_costs_nothing_and_asks_nothing(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        case = await begin(pilot)
        await press(pilot, "o")
        assert "intact model" in line(app)
        await press(pilot, "space")
        assert app.main.result.form.question is None, "a bet speaks of the whole model and of its own settings"
        await press(pilot, "r")
        await done(app, pilot)
        assert engine.runs[-1].case is None
        assert "probes 0" in line(app)
        await press(pilot, "a", "o", "r")
        await done(app, pilot)
        assert engine.runs[-1].case == case
        assert "probes 1" in line(app)
        rows = [row for view in app.main.comparison if isinstance(view, Table) for row in view.rows]
        assert ("the model", "intact", "broken") in rows


async def test_a_changed_dial_waits_for_r_and_no_word_speaks_of_it(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app("kv-cache") as (app, pilot):
        await begin(pilot)
        app.query(Stepper).first().focus()
        await press(pilot, "right")
        assert app.main._rerun._timer is None
        await press(pilot, "r")
        await done(app, pilot)
        assert [run.settings["max_new_tokens"] for run in engine.runs] == [136]
        await press(pilot, "space")
        assert "11" not in said_in(app.main.words), "a broken model's run does not speak in the lesson"


async def test_after_the_truth_nothing_is_compared(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await begin(pilot)
        await press(pilot, "r")
        await done(app, pilot)
        await press(pilot, "a", "f", "enter")
        await done(app, pilot)
        assert app.main.comparison == ()
        assert any("f opens another case" in note.message for note in app._notifications)


async def test_a_stopped_probe_counts_once_it_showed_something(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await begin(pilot)
        await press(pilot, "r", "x")
        from llm_holes.engine.ipc.messages import Cancelled

        engine.say(Cancelled(engine.runs[-1].id))
        await settle(pilot)
        assert "probes 0" in line(app)
        await press(pilot, "r")
        engine.frame(Frame("half of it", (), {}, 0.5))
        await settle(pilot)
        await press(pilot, "x")
        engine.say(Cancelled(engine.runs[-1].id))
        await settle(pilot)
        assert "probes 1" in line(app)


async def test_giving_up_shows_the_truth(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await begin(pilot)
        await press(pilot, "f", "x")
        await done(app, pilot)
        assert engine.runs[-1].settings["guess_kind"] == GIVE_UP
        assert app.main.game.open_case is None


async def test_an_engine_that_dies_while_naming_leaves_the_case_open(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await begin(pilot)
        await press(pilot, "f", "enter")
        engine.die()
        await settle(pilot)
        assert app.main.game.open_case is not None
        await press(pilot, "f")
        assert isinstance(app.screen, NameScreen)


async def test_an_open_case_is_there_at_the_next_start(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        case = await begin(pilot)
        await press(pilot, "r")
        await done(app, pilot)
        await pilot.press("q")
    async with open_app() as (app, pilot):
        await until(pilot, lambda: app.main.game.open_case is not None)
        assert app.main.game.open_case is not None
        assert app.main.game.open_case.case == case
        assert "probes 1" in line(app)


async def test_only_a_head_has_a_head_to_name(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "f", *["right"] * 2, "enter", "f")
        screen = app.screen
        assert isinstance(screen, NameScreen)
        kinds = len(DIFFICULTIES[3].kinds)
        seen = set()
        for _ in range(kinds):
            kind = str(screen.guess["guess_kind"])
            seen.add(kind)
            shown = [setting.control.name for setting in screen.query(Dial) if setting.display]
            assert ("guess_head" in shown) == (kind == "head-off")
            await press(pilot, "right")
        assert seen == set(DIFFICULTIES[3].kinds)


async def test_a_layer_is_compared_as_a_probe_and_the_case_goes_on(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.frames = {**engine.frames, FIND_THE_HOLE: [Frame("Entering layer 9: equal; leaving it: 3 % apart.")]}
    async with open_app() as (app, pilot):
        case = await begin(pilot)
        await press(pilot, "f", "down", "down", "9", "c")
        await done(app, pilot)
        assert engine.runs[-1].settings == {
            "seed": case.seed, "difficulty": case.difficulty, "compare_layer": 9, "probes": 0,
        }  # fmt: skip
        assert "leaving it: 3 % apart" in str(app.query_one(Caption).render())
        assert not app.main.check_action("share", ()), "there is no score yet"
        assert "probes 1" in line(app)
        await press(pilot, "f")
        assert "layers compared" in str(app.screen.query_one("#above", Static).render())


async def test_the_case_of_the_day_is_proposed_and_n_draws_another(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "f")
        screen = app.screen
        assert isinstance(screen, BeginScreen)
        assert screen.chosen["seed"] == int(date.today().strftime("%y%m%d"))
        assert "today's case" in str(screen.query_one("#below", Static).render())
        await press(pilot, "n")
        assert 0 < int(str(screen.chosen["seed"])) < 10_000
        assert "today's case" not in str(screen.query_one("#below", Static).render())


async def test_how_a_case_went_can_be_passed_on(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "f", "down", "4", "2", "enter", "r")
        await done(app, pilot)
        await press(pilot, "f", "enter")
        await done(app, pilot)
        await press(pilot, "S")
        assert app.clipboard == "llm-holes · find the hole · case 42 loud · 80 of 100 · 1 probe, par 5"


async def test_the_focus_is_never_on_a_picture_that_is_gone(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "f", "down", "4", "2", "enter", "r")
        await done(app, pilot)
        app.main.stage.target.focus()
        await press(pilot, "f", "enter")
        await until(pilot, lambda: app.main.game.open_case is None and app.main.focused is app.main.stage.target)
        assert app.main.stage.target.display


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
@pytest.mark.parametrize("keys", [(), ("enter", "r"), ("enter", "r", "f"), ("enter", "r", "f", "enter")], ids=len)
def test_game(
    snap_compare: Compare, make_app: MakeApp, engine: FakeEngine, size: tuple[int, int], keys: tuple[str, ...]
) -> None:
    """You should see first what the game is, with difficulty and case; then a line that says the model is broken above
    a finished probe; then the naming, with the probe made; last the truth beside what was named."""

    async def run_before(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, "f", "down", "4", "2", "up")
        for key in keys:
            await press(pilot, key)
            if key == "r" or keys.count("enter") == 2:
                await until(pilot, lambda: not pilot.app.main.session.run.active)  # type: ignore[attr-defined]
                await settle(pilot)
        if keys.count("enter") == 2:
            await until(pilot, lambda: pilot.app.main.game.open_case is None)  # type: ignore[attr-defined]
            await settle(pilot)

    assert snap_compare(make_app(), terminal_size=size, run_before=run_before)
