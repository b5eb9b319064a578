"""What opens over the lesson when a key is pressed: the actions of the lesson screen that push a dialog.

Each dialog is imported when it is first opened, so that none of them holds up the first paint.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from random import Random
from typing import TYPE_CHECKING

from llm_holes.engine.ipc.messages import Case
from llm_holes.engine.numbers import plural
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.schema import Question
from llm_holes.tui.draw.lesson_text import ways

if TYPE_CHECKING:
    from llm_holes.engine.frames import Value
    from llm_holes.lessons.catalog.tour import Stop
    from llm_holes.tui.screens.lesson import LessonScreen


def presets(screen: LessonScreen) -> None:
    from llm_holes.tui.screens.pick import PickScreen

    if screen.lesson is None or (picker := screen.dials.presets) is None:
        return

    def picked(index: int | None) -> None:
        if index is not None:
            screen.choose_preset(index)

    entries = [(preset.name, preset.why) for preset in screen.lesson.presets]
    screen.app.push_screen(PickScreen("presets", entries, picker.chosen or 0), picked)


def code(screen: LessonScreen) -> None:
    from llm_holes.tui.screens.code import CodeScreen
    from llm_holes.tui.state.sources import sources

    if screen.lesson is not None:
        screen.app.push_screen(CodeScreen(sources(screen.lesson)))


def quiz(screen: LessonScreen) -> None:
    if screen.lesson is not None:
        ask(screen, "quiz", [(screen.lesson, question) for question in screen.lesson.data.quiz])


def review(screen: LessonScreen) -> None:
    from llm_holes.tui.screens.review import ReviewScreen

    learner = screen.learner()

    def begin(wanted: bool | None) -> None:
        if wanted:
            ask(screen, "review", learner.due(screen.catalog))

    screen.app.push_screen(ReviewScreen(screen.catalog, learner.events, learner.now()), begin)


def ask(screen: LessonScreen, title: str, cards: list[tuple[Lesson, Question]]) -> None:
    from llm_holes.tui.screens.quiz import QuizScreen

    screen.app.push_screen(QuizScreen(title, cards, screen.runs.measured, screen.runs.facts, screen.record, Random()))


def game(screen: LessonScreen) -> None:
    """Opens a case of Find the hole; names the damage where one is open."""
    from llm_holes.lessons.game.cases import best_scores
    from llm_holes.tui.screens.game import BeginScreen, NameScreen

    def begun(chosen: dict[str, Value] | None) -> None:
        if chosen is not None:
            screen.begin(Case(int(str(chosen["seed"])), int(str(chosen["difficulty"]))))

    def played(chosen: dict[str, Value] | None) -> None:
        if chosen is not None:
            screen.play(chosen)

    if screen.game.open_case is None:
        best = best_scores(screen.learner().events)
        screen.app.push_screen(BeginScreen(int(date.today().strftime("%y%m%d")), best), begun)
    else:
        titles = {lesson.id: lesson.title for lesson in screen.catalog.lessons.values()}
        screen.app.push_screen(NameScreen(screen.game.open_case, titles, screen.session.model), played)


def go(screen: LessonScreen) -> None:
    if screen.lesson is not None:
        found = ways(screen.catalog, screen.lesson)
        _choose(screen, "go to", [(f"{kind:<12}", lesson) for kind, lesson in found])


def _choose(screen: LessonScreen, title: str, found: list[tuple[str, Lesson]]) -> None:
    from llm_holes.tui.screens.pick import PickScreen

    def picked(index: int | None) -> None:
        screen.go(None if index is None else found[index][1].id)

    screen.app.push_screen(PickScreen(title, [(kind + lesson.title, "") for kind, lesson in found]), picked)


def search(screen: LessonScreen) -> None:
    from llm_holes.tui.screens.search import SearchScreen

    screen.app.push_screen(SearchScreen(screen.catalog), screen.go)


def glossary(screen: LessonScreen) -> None:
    from llm_holes.tui.screens.glossary import GlossaryScreen

    screen.app.push_screen(GlossaryScreen(screen.catalog), screen.go)


def end(screen: LessonScreen) -> None:
    """What the lesson came to, after its last step."""
    from llm_holes.tui.screens.end import EndScreen

    if (lesson := screen.lesson) is None:
        return
    state = screen.learner().state(lesson)
    bets = [(bet.question, state.outcome(bet.measurement)) for bet in lesson.data.bets]

    def chosen(what: str | None) -> None:
        if what == "quiz":
            quiz(screen)
        elif what == "next":
            screen.action_next()

    screen.app.push_screen(EndScreen(lesson, bets, state.status == "passed", screen.following), chosen)


def welcome(screen: LessonScreen, new: bool) -> None:
    """What this is, for a new learner; where the learner was, for others."""
    from llm_holes.tui.screens.welcome import WelcomeScreen

    def chosen(what: str | None) -> None:
        screen.greeting = None
        if what == "tour":
            screen.action_tour()

    if new:
        screen.greeting = WelcomeScreen(len(screen.catalog.lessons), screen.machine())
        screen.app.push_screen(screen.greeting, chosen)
    elif screen.lesson is not None:
        due = len(screen.learner().due(screen.catalog))
        asks = f" {plural(due, 'question')} due: v." if due else ""
        at = f"{screen.lesson.title}, step {screen.step + 1}."
        screen.notify(at + asks, title="welcome back", timeout=4, markup=False)


def tour_script() -> Sequence[Stop]:
    from llm_holes.lessons.catalog.tour import load

    return load()


def tour_end(screen: LessonScreen) -> None:
    """What comes after the last stop of the tour."""
    from llm_holes.tui.screens.tour_end import TourEndScreen

    lessons, learner = screen.tour.lessons(), screen.learner()
    outcomes = [learner.state(lesson).outcome(bet.measurement) for lesson in lessons for bet in lesson.data.bets]
    right = [bool(graded.right) for _, graded in filter(None, outcomes)]

    def chosen(what: str | None) -> None:
        if what == "back":
            return
        screen.end_tour()
        if what == "begin":
            screen.open_lesson(next(iter(screen.catalog.lessons)))

    screen.app.push_screen(TourEndScreen(lessons, screen.catalog, right), chosen)
