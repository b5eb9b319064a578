"""Nothing of a run can be seen before its question is answered or skipped; afterwards both stand side by side."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from llm_holes.engine.frames import Frame
from llm_holes.lessons.learner.events import Event, Graded, Predicted, Ran, Read, Skipped
from llm_holes.tui.app import HolesApp
from llm_holes.tui.screens.end import EndScreen
from llm_holes.tui.views.base import ViewWidget
from llm_holes.tui.widgets.dial import Stepper
from llm_holes.tui.widgets.lines import KeyBar
from llm_holes.tui.widgets.text_field import TextField
from tests.support.app import OpenApp, done, press, settle, until
from tests.support.fake_link import FakeEngine, recording
from tests.support.paths import RECORDINGS

RESULT = "11 tokens for 48 characters"


def everything(app: HolesApp) -> str:
    """All that is on the screen or kept in its widgets."""
    shown = [str(widget.render()) for widget in app.screen.walk_children(Widget)]
    return "\n".join([*shown, *(repr(vars(widget)) for widget in app.screen.walk_children(Widget))])


def decisions(app: HolesApp) -> list[Event]:
    return [event for event in app.learner.events if not isinstance(event, Read | Ran)]


def form(app: HolesApp) -> str:
    return str(app.main.result.form.render()) if app.main.result.form.display else ""


def verdict(app: HolesApp) -> str:
    return str(app.main.result.verdict.render()) if app.main.result.verdict.display else ""


async def test_nothing_runs_and_no_result_exists_before_the_answer(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space", "r", "r")
        assert "How many?" in form(app)
        assert engine.runs == []
        assert RESULT not in everything(app)
        assert not app.query(ViewWidget)
        await press(pilot, "1", "2", "right", "enter")
        await done(app, pilot)
        assert RESULT in everything(app)
        assert form(app) == ""
        assert verdict(app).startswith("✓ You said 12; it was 11.")
        predicted, graded = decisions(app)
        assert isinstance(predicted, Predicted)
        assert (predicted.answer, predicted.confidence) == (12, 80)
        assert isinstance(graded, Graded)
        assert (graded.prediction, graded.was, graded.right) == (predicted.id, "11", True)


async def test_the_question_comes_into_sight_in_a_small_terminal(open_app: OpenApp) -> None:
    async with open_app("kv-cache", (80, 18)) as (app, pilot):
        await press(pilot, "space")
        assert app.focused is app.main.result.form
        assert app.main.query_one("#page").region.contains_region(app.main.result.form.region)


async def test_the_verdict_waits_for_the_end_of_the_run(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "space", "4", "0", "enter")
        engine.frame(Frame("half way", (), {"tokens": 5}, 0.5))
        await settle(pilot)
        assert verdict(app) == ""
        engine.frame(engine.frames["tokens"][-1])
        engine.finish()
        await done(app, pilot)
        assert verdict(app).startswith("✗ You said 40; it was 11.")


async def test_skipping_is_remembered_and_a_new_visit_asks_again(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space", "s")
        await done(app, pilot)
        await press(pilot, "r")
        assert len(engine.runs) == 2
        assert [type(event) for event in decisions(app)] == [Skipped]
        assert verdict(app) == ""
        for lesson in ("attention", "tokens"):
            app.main.open_lesson(lesson)
            await settle(pilot)
        await press(pilot, "r")
        assert "How many?" in form(app)
        assert len(engine.runs) == 2


async def test_an_answer_holds_for_later_visits(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space", "9", "enter")
        await done(app, pilot)
        for lesson in ("attention", "tokens"):
            app.main.open_lesson(lesson)
            await settle(pilot)
        assert verdict(app) == "✓ You said 9; it was 11."
        await press(pilot, "r")
        await done(app, pilot)
        assert len(engine.runs) == 2


async def test_an_open_question_is_gone_with_its_lesson(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space", "3")
        app.main.open_lesson("attention")
        await settle(pilot)
        assert form(app) == ""
        assert app.main.result.caption.display
        assert decisions(app) == []
        assert engine.runs == []


async def test_a_bet_is_never_asked_over_other_settings(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space")
        assert "How many?" in form(app)
        field = app.query_one(TextField)
        await press(pilot, "e", "s", "enter")
        await done(app, pilot)
        assert form(app) == "", "the question speaks of another text"
        assert str(engine.runs[-1].settings["text"]).endswith("?s") or "s" in str(engine.runs[-1].settings["text"])
        assert verdict(app) == ""
        assert decisions(app) == []
        await press(pilot, "e", *["backspace"] * len(field.text), "enter")
        app.main.settings.change(app.main.catalog["tokens"], app.main.catalog["tokens"].defaults())
        await press(pilot, "r")
        assert "How many?" in form(app), "and comes back with what it speaks of"


async def test_with_another_key_the_keys_lead_to_the_bet(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space", "tab")
        assert "b comes here to bet" in form(app)
        await press(pilot, "b")
        assert app.focused is app.main.result.form
        assert "0-9 answers" in form(app)


async def test_after_the_answer_controls_run_by_themselves(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app("kv-cache") as (app, pilot):
        await press(pilot, "space", "1", "1", "enter")
        await done(app, pilot)
        app.query_one(Stepper).focus()
        await press(pilot, "right")
        await until(pilot, lambda: len(engine.runs) == 2)
        await done(app, pilot)
        assert form(app) == ""
        assert verdict(app).startswith("your bet: ✓ You said 11; it was 11.")


async def test_a_run_with_other_settings_does_not_decide_a_bet(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app("kv-cache") as (app, pilot):
        engine.ready()
        await press(pilot, "space", "5", "enter")
        app.query_one(Stepper).focus()
        await press(pilot, "right")
        await until(pilot, lambda: len(engine.runs) == 2)
        engine.frame(engine.frames["kv-cache"][-1])
        engine.finish()
        await done(app, pilot)
        assert verdict(app) == ""
        assert [type(event) for event in decisions(app)] == [Predicted]
        await press(pilot, "left")
        await until(pilot, lambda: len(engine.runs) == 3)
        engine.frame(engine.frames["kv-cache"][-1])
        engine.finish()
        await done(app, pilot)
        assert verdict(app).startswith("✗ You said 5; it was 11.")


async def test_what_the_run_did_not_measure_is_not_graded(open_app: OpenApp, engine: FakeEngine) -> None:
    engine.manual = True
    async with open_app() as (app, pilot):
        engine.ready()
        await press(pilot, "space", "5", "enter")
        engine.frame(Frame("nothing", (), {}))
        engine.finish()
        await done(app, pilot)
        assert "measured no tokens" in verdict(app)
        assert app.learner.state(app.main.catalog["tokens"]).pending


async def test_committing_to_nothing_says_how_to_answer(open_app: OpenApp, engine: FakeEngine) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space", "enter")
        assert "0-9 first, then enter  s skips" in form(app)
        assert engine.runs == []
        await press(pilot, "minus", "1", "full_stop", "5", "full_stop", "backspace", "2")
        assert app.main.result.form.answer == -1.2
        keys = str(app.query_one(KeyBar).render())
        assert "enter commit" in keys
        assert "s skip" in keys


def real(lesson: str) -> HolesApp:
    path = RECORDINGS / f"{lesson}.msgpack"
    return HolesApp([], lesson, link=FakeEngine({lesson: recording(path)}).link, clock=lambda: 0.0)


async def to_the_bet(app: HolesApp, pilot: Pilot[None]) -> int:
    """Walks to the first step with a bet; its index."""
    for _ in range(len(app.main.lesson.steps)):  # type: ignore[union-attr]
        if app.main.result.form.question is not None:
            return app.main.step
        await press(pilot, "space")
    raise AssertionError("no step asks")


async def test_options_are_chosen_by_number_or_arrows() -> None:
    app = real("tokens")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        at = await to_the_bet(app, pilot)
        await press(pilot, "down", "down", "up", "9")
        assert app.main.result.form.answer == 0
        await press(pilot, *["right"] * 9, "2", "left", "enter")
        await done(app, pilot)
        predicted, graded = decisions(app)
        assert isinstance(predicted, Predicted)
        bet = app.main.catalog["tokens"].steps[at].bet
        assert bet is not None
        assert (predicted.said, predicted.confidence) == (bet.options[1].text, 90)
        assert isinstance(graded, Graded)
        mark = "✓" if graded.right else "✗"
        told = ". That is right." if graded.right else "; it was "
        assert verdict(app).startswith(f"{mark} You said “{bet.options[1].text}”{told}")


async def test_after_the_last_step_the_bets_stand_beside_what_was_measured(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "space", "1", "2", "enter")
        await done(app, pilot)
        await press(pilot, "space", "space")
        assert isinstance(app.screen, EndScreen)
        card = str(app.screen.query_one("#card", Static).render())
        assert "is one sentence to remember" in " ".join(card.split())
        assert "✓ you said “12”, 70 % sure; measured 11" in card
        assert "d  next: Embeddings: ids become vectors" in card
        await press(pilot, "backspace")
        assert app.screen is app.main
        await press(pilot, "space", "d")
        assert app.main.lesson is not None
        assert app.main.lesson.id == "embeddings"
