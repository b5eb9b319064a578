"""Quiz, hints, what is due again, and how well the learner judges himself."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from llm_holes.lessons.catalog.schema import Option, Question
from llm_holes.lessons.learner.events import Answered, Graded, Hinted, Predicted
from llm_holes.lessons.learner.spaced_repetition import DAY, calibration
from llm_holes.tui.app import HolesApp
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.screens import dialogs
from llm_holes.tui.screens.quiz import QuizScreen, mixed
from llm_holes.tui.screens.review import ReviewScreen, calibration_rows
from tests.support.app import MakeApp, OpenApp, done, press, settle
from tests.support.pictures import MIDDLE, SMALL, Compare

MEASURED = Question(
    "How many tokens?",
    (Option("few", "Few it is.", below=5), Option("many", "Many: {measured.tokens}.", at_least=5)),
    ("Run it.", "Count."),
    "tokens",
)


RANGES = (Option("few", "b", below=2), Option("some", "b", at_least=2, below=4), Option("many", "b", at_least=4))


def card(app: HolesApp) -> str:
    return str(app.screen.query_one("#card", Static).render())


def answers(app: HolesApp) -> list[tuple[str, bool | None]]:
    return [(event.question, event.right) for event in app.learner.events if isinstance(event, Answered)]


async def test_a_lesson_is_passed_by_its_questions_alone(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "z")
        assert "Which?" in card(app)
        assert "It is" not in card(app)
        await press(pilot, "enter", "2", "enter")
        assert card(app).count("✓") == 1
        assert "It is not." in card(app)
        assert "It is." in card(app)
        await press(pilot, "enter", "1", "enter", "enter")
        assert "1 of 2 right" in card(app)
        await press(pilot, "enter")
        assert len(app.screen_stack) == 1
        assert answers(app) == [("Which?", False), ("Which now?", True)]
        assert app.main.holes.statuses["tokens"] == "read"
        await press(pilot, "z", "1", "enter", "escape")
        assert app.main.holes.statuses["tokens"] == "passed"


async def test_how_sure_an_answer_was_is_kept_and_starts_anew_with_each_question(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "z", "1", "right", "right")
        assert "how sure ◂ 90 % ▸" in card(app)
        await press(pilot, "enter", "left")
        assert "how sure" not in card(app)
        await press(pilot, "enter", "2", *["left"] * 3, "enter", "escape")
        sure = [(event.right, event.confidence) for event in app.learner.events if isinstance(event, Answered)]
        assert sure == [(True, 90), (False, 50)]
        assert {b.confidence: (b.n, b.right) for b in calibration(app.learner.events).buckets if b.n} == {
            90: (1, 1),
            50: (1, 0),
        }


async def test_hints_come_one_by_one_and_are_remembered(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "z")
        assert "Look." not in card(app)
        await press(pilot, "h")
        assert "hint 1 of 2  Look." in card(app)
        assert "Look again." not in card(app)
        await press(pilot, "h", "h")
        assert "hint 2 of 2  Look again." in card(app)
        assert [event.count for event in app.learner.events if isinstance(event, Hinted)] == [1, 2]


async def test_a_measured_answer_needs_a_run_and_is_graded_by_it(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        assert app.main.lesson is not None
        dialogs.ask(app.main, "quiz", [(app.main.lesson, MEASURED)])
        await press(pilot, "2", "enter")
        assert "Run the experiment first" in card(app)
        assert answers(app) == []
        await press(pilot, "escape", "r")
        await done(app, pilot)
        dialogs.ask(app.main, "quiz", [(app.main.lesson, MEASURED)])
        await press(pilot, "1", "enter")
        assert "✗ You said “few”; it was 11." in card(app)
        assert "Many: 11." in card(app)
        assert answers(app) == [("How many tokens?", False)]


async def test_numbers_that_were_not_measured_yet_are_said_to_come_with_a_run(open_app: OpenApp) -> None:
    options = Option("few", "Few: {measured.tokens}.", correct=True), Option("many", "No.")
    async with open_app() as (app, pilot):
        for keys, shown, said in (([], "Few: ….", True), (["r"], "Few: 11.", False)):
            await press(pilot, *keys)
            if keys:
                await done(app, pilot)
            assert app.main.lesson is not None
            dialogs.ask(app.main, "quiz", [(app.main.lesson, Question("How many?", options, ("Look.", "Count.")))])
            await press(pilot, "1", "enter")
            assert shown in card(app)
            assert ("once the lesson was run" in card(app)) is said
            await press(pilot, "escape")


async def test_answered_questions_come_back_some_days_later(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        await press(pilot, "v")
        assert isinstance(app.screen, ReviewScreen)
        assert app.screen.waiting == ()
        await press(pilot, "enter", "escape", "z", "1", "enter", "escape")
        now = app.learner.now() + 3 * DAY
        app.learner.now = lambda: now
        app.main.save_soon()
        await settle(pilot)
        assert "1 due v" in str(app.main.status.render())
        await press(pilot, "v", "enter")
        assert isinstance(app.screen, QuizScreen)
        assert "Which?" in card(app)
        await press(pilot, "1", "enter", "escape")
        assert "due" not in str(app.main.status.render())
        assert answers(app) == [("Which?", True)] * 2


def test_options_are_mixed_and_ranges_keep_their_order() -> None:
    plain = Question("?", tuple(Option(str(n), "b") for n in range(4)), ("a", "b"))
    ranged = Question("?", RANGES, ("a", "b"))
    orders = {tuple(option.text for option in mixed(plain, Random(seed)).options) for seed in range(200)}
    assert len(orders) == 24
    assert all(mixed(ranged, Random(seed)) == ranged for seed in range(20))


async def test_a_mixed_answer_is_recorded_as_the_option_it_is_in_the_lesson(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Backwards(Random):
        def sample(self, population: Any, k: int, *, counts: Any = None) -> list[Any]:
            return list(population)[::-1]

    monkeypatch.setattr(dialogs, "Random", Backwards)
    async with open_app() as (app, pilot):
        await press(pilot, "z")
        assert card(app).index("that") < card(app).index("this")
        await press(pilot, "2", "enter")
        (answer,) = [event for event in app.learner.events if isinstance(event, Answered)]
        assert (answer.said, answer.option, answer.right) == ("this", 0, True)


def test_confidence_is_set_beside_how_often_it_was_right() -> None:
    events = []
    for n, (sure, right) in enumerate([(90, True), (90, False), (60, True)]):
        events.append(Predicted(lesson="x", id=f"p{n}", answer=0, said="", confidence=sure))
        events.append(Graded(lesson="x", prediction=f"p{n}", was="", right=right))
    rows = [plain(row) for row in calibration_rows(calibration(events))]
    assert "  90 %   ████████████         ·    1 of 2 right" in rows
    assert any(row.startswith("  60 %") and row.endswith("1 of 1 right") for row in rows)
    assert "Brier score 0.327" in rows[-1]


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
@pytest.mark.parametrize("keys", [("z", "1", "h"), ("z", "2", "enter")], ids=["asked", "answered"])
def test_quiz(snap_compare: Compare, make_app: MakeApp, keys: tuple[str, ...], size: tuple[int, int]) -> None:
    """You should see one question with its options and a hint; or, answered, every option with its reason."""

    async def run_before(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await press(pilot, *keys)

    assert snap_compare(make_app(), terminal_size=size, run_before=run_before)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=str)
def test_review(snap_compare: Compare, make_app: MakeApp, size: tuple[int, int]) -> None:
    """You should see one question due, totals per tier, and a bar of how often 90 % sure was right."""

    async def run_before(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, HolesApp)
        await settle(pilot)
        await press(pilot, "z", "1", "enter", "escape", "space", "1", "1", "right", "right", "enter")
        await done(app, pilot)
        now = app.learner.now() + 3 * DAY
        app.learner.now = lambda: now
        await press(pilot, "v")

    assert snap_compare(make_app(), terminal_size=size, run_before=run_before)
