"""The tutor's one screen: it composes the panes, turns keys and messages into wishes, and shows what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from llm_holes.engine.frames import Frame, Value, View
from llm_holes.engine.ipc.messages import Case, Framed, ModelInfo, Ready
from llm_holes.engine.ipc.session import EngineState, RunState, Session
from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.game.rules import FIND_THE_HOLE
from llm_holes.tui.actions import APP, LESSON, Action, bindings
from llm_holes.tui.link import Link
from llm_holes.tui.messages import (
    Changed,
    Decided,
    Described,
    OpenLesson,
    Picked,
    Play,
    PresetChosen,
    Replied,
    Scrolled,
)
from llm_holes.tui.screens import dialogs
from llm_holes.tui.services.game import Game
from llm_holes.tui.services.history import History
from llm_holes.tui.services.lab import Lab
from llm_holes.tui.services.later import Later
from llm_holes.tui.services.runs import Ended, Runs
from llm_holes.tui.services.saving import Saving
from llm_holes.tui.services.settings import Settings
from llm_holes.tui.widgets.case_line import CaseLine
from llm_holes.tui.widgets.lines import HintLine, KeyBar, ObjectiveLine
from llm_holes.tui.widgets.panes import NAMES, NARROW, WIDE, Panes
from llm_holes.tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from llm_holes.lessons.learner.events import Event, Resume
    from llm_holes.lessons.learner.learner import Learner

DEBOUNCE = 0.35
"""Seconds after the last change of a control before it runs by itself."""
REPAINT = 0.1
"""Seconds between two frames on the screen: more would only fill a slow link."""
TICK = 0.5
PLACE_AFTER = 1.0
"""Seconds after which a change of controls or a scroll is written, with all that came in between."""


class LessonScreen(Screen[None]):
    """Map, lesson and live panel.

    Args:
        catalog: the lessons.
        link: to the engine.
        learner: loads the learner when it is first asked for, which must not hold up the first paint.
        first: id of the lesson to open; where the learner left, or the first one, if None.
        clock: seconds.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(LESSON)]
    BINDING_GROUP_TITLE = "Everywhere"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012

        (0, "-tiny"), (60, "-narrow"), (NARROW, "-medium"), (WIDE, "-wide")
    ]  # fmt: skip
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012

    lesson: var[Lesson | None] = var(None)
    engine: var[EngineState] = var(EngineState())
    run: var[RunState] = var(RunState())
    frame: var[Frame | None] = var(None)
    model: var[ModelInfo | None] = var(None)
    comparison: var[tuple[View, ...]] = var(())

    def __init__(
        self,
        catalog: Catalog,
        link: Link,
        learner: Callable[[], Learner],
        first: str | None,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(id="_default", classes="-at-holes")
        self.catalog = catalog
        self.learner, self._link, self._first, self._clock = learner, link, first, clock
        self.session = Session(link.send, self._restart, clock)
        self.settings, self.game, self.lab, self.history = Settings(), Game(learner), Lab(self.session), History()
        self.runs = Runs(self.session, self.settings, self.game, learner)
        self.saving = Saving(learner, self.point, self._in_thread, lambda: self.call_later(self._tell))
        self.status, self.objective, self.case_line = StatusLine(), ObjectiveLine(), CaseLine()
        self.panes, self.hint, self.footer = Panes(catalog), HintLine(), KeyBar()
        self.quitting = False
        """Whether the learner has quit: what is typed while everything is saved must not open anything any more."""
        self._came_from: Widget | None = None
        """Where the focus was before the question."""
        self._rerun = Later(self.set_timer, partial(self._run, False))
        self._repaint = Later(self.set_timer, self._show_run)
        self._placing = Later(self.set_timer, self.saving.place)
        self._ticker: Timer | None = None
        self._painted = 0.0

    def compose(self) -> ComposeResult:
        yield self.status.data_bind(LessonScreen.engine, LessonScreen.run)
        yield self.objective.data_bind(LessonScreen.lesson)
        yield self.case_line
        bound = LessonScreen.run, LessonScreen.frame, LessonScreen.model, LessonScreen.comparison
        self.panes.panel.data_bind(*bound)
        yield from self.panes.parts()
        yield self.hint
        yield self.footer
        yield Static("llm-holes needs a terminal of at least 60 × 16", id="small")

    def on_mount(self) -> None:
        self.status.holes = len(self.catalog.lessons)
        self.panes.holes.focus()
        self.watch(self, "focused", self._focus_moved)
        self.call_after_refresh(self._after_first_paint)

    def _after_first_paint(self) -> None:
        self.run_worker(self._link.start(), name="engine")
        self.run_worker(self._begin())

    # -- from one session to the next ---------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """After the first paint: what the learner did before, and the lesson to go on with."""
        if self._first is not None:
            await self._open(self._first, False)
        await asyncio.to_thread(self.learner().open)
        self.game.recall()
        self._show_progress()
        self._tell()
        if self.lesson is None:
            await self._resume()

    async def _resume(self) -> None:
        point = self.learner().resume
        lesson = self.catalog.lessons.get(point.lesson) if point is not None else None
        if point is None or lesson is None:
            await self._open(next(iter(self.catalog.lessons)), False)
            return
        self.settings.change(lesson, point.settings)
        await self._open(lesson.id, False)
        if point.pane in ("lesson", "live"):
            self.panes.go(point.pane)
        self.call_after_refresh(self.panes.scroll_to_lines, point.scroll)

    def point(self) -> Resume | None:
        """Where the learner is, for the next start."""
        from llm_holes.lessons.learner.events import Resume

        if self.lesson is None:
            return None
        settings: dict[str, Value] = {**self.settings.of(self.lesson)}
        return Resume(lesson=self.lesson.id, settings=settings, pane=self.panes.here, scroll=self.panes.lines())

    def record(self, event: Event) -> None:
        """Keeps what the learner did."""
        self.learner().record(event)
        self.save_soon()

    def save_soon(self) -> None:
        """Shows what has become of the progress, and writes it without holding up the keys."""
        self._show_progress()
        self.saving.soon()

    @on(Changed)
    @on(Scrolled)
    def _place_soon(self) -> None:
        """Writes where the learner is, in a while: the controls and the scrolling should also outlive a kill."""
        self._placing.within(PLACE_AFTER)

    def _in_thread(self, work: Callable[[], None]) -> None:
        self.run_worker(work, group="save", thread=True, exit_on_error=False)

    def _tell(self) -> None:
        if notice := self.learner().take_notice():
            self.notify(notice, title="progress", timeout=20, markup=False)

    def _show_progress(self) -> None:
        learner = self.learner()
        self.panes.holes.statuses = statuses = learner.statuses(self.catalog)
        found = list(statuses.values())
        self.status.progress = (found.count("run") + found.count("passed"), found.count("passed"))
        self.status.due = len(learner.due(self.catalog))
        self.case_line.intact, self.case_line.open_case = self.game.intact, self.game.open_case

    # -- the page -----------------------------------------------------------------------------------------------------

    def open_lesson(self, lesson_id: str, remember: bool = True) -> None:
        self.run_worker(self._open(lesson_id, remember), group="open", exclusive=True)

    async def _open(self, lesson_id: str, remember: bool) -> None:
        lesson = self.catalog[lesson_id]
        if lesson is self.lesson:
            return
        if self.lesson is not None and remember:
            self.history.remember(self.lesson.id)
        self._rerun.drop()
        self._repaint.drop()
        self.session.leave()
        if self.panes.here == "live" and self.lesson is not None:
            self.panes.go("lesson")  # what has the focus there is about to be replaced
        self.lesson = lesson
        self._visit(lesson)
        self._show_run()
        await self.panes.panel.show(lesson, self.settings.of(lesson))
        await self.panes.page.show(lesson, self.session.model)
        self.panes.holes.reveal(lesson.id)
        self.refresh_bindings()

    def _visit(self, lesson: Lesson) -> None:
        """Another lesson is being put up."""
        self.learner().visit(lesson)
        self.save_soon()
        self._came_from = None
        panel = self.panes.panel
        panel.wanted = False
        panel.ask(None)
        panel.verdict.judged = None
        self.panes.scroll_to_lines({})

    @on(OpenLesson)
    def _opened(self, event: OpenLesson) -> None:
        self.open_lesson(event.lesson)
        if self.panes.one_at_a_time:
            self.panes.go("lesson")

    @on(Described)
    def _described(self, event: Described) -> None:
        if event.widget is self.focused:
            self.hint.text = event.widget.describe()  # type: ignore[attr-defined]

    def _focus_moved(self, focused: Widget | None) -> None:
        if focused is None:
            return
        describe = getattr(focused, "describe", None)
        self.hint.text = describe() if describe else ""
        self.panes.follow(focused)

    # -- predict, run, see --------------------------------------------------------------------------------------------

    def _run(self, by_hand: bool = True) -> None:
        """Runs the lesson, or asks what must be answered first. `by_hand`: the learner asked for it, rather than only
        changed a control."""
        if self.lesson is None:
            return
        panel = self.panes.panel
        question = self.runs.request(self.lesson)
        if question is not None:
            panel.ask(question)
            # a change that would run by itself leaves the focus where the learner is typing
            if by_hand and self.focused is not panel.form:
                self._came_from = self.focused
                self.panes.go("live")
            return
        self._rerun.drop()
        panel.verdict.past = panel.verdict.judged is not None
        panel.wanted = False
        self._show_run()
        self._place_soon()

    def _run_soon(self) -> None:
        # each run on a broken model is a probe, so none begins by itself
        if not self.session.engine.down and self.game.case is None:
            self._rerun.after(DEBOUNCE)

    @on(Decided)
    def _decided(self, event: Decided) -> None:
        if self.lesson is None or self.runs.unanswered(self.lesson) is None:
            return
        self.runs.decide(self.lesson, event.answer, event.sure)
        self.save_soon()
        back, self._came_from = self._came_from, None
        self.panes.panel.ask(None)
        if back is None or not back.is_attached or self.panes.one_at_a_time:
            self.panes.go("live")
        else:
            back.focus(scroll_visible=False)
        self._run()
        self.panes.panel.wanted = not self.panes.side_by_side

    @on(Changed)
    def _changed(self, event: Changed) -> None:
        if self.lesson is None:
            return
        self.settings.change(self.lesson, {event.name: event.value})
        self.panes.panel.mark_preset(None)
        if event.now:
            self._run()
        else:
            self._run_soon()

    @on(Picked)
    def _picked(self, event: Picked) -> None:
        if self.lesson is not None:
            self.settings.change(self.lesson, event.settings)
            self._show_settings(None)
            self._run()

    @on(PresetChosen)
    def _preset_chosen(self, event: PresetChosen) -> None:
        self.choose_preset(event.index)

    def choose_preset(self, index: int) -> None:
        if self.lesson is not None:
            self.settings.change(self.lesson, self.lesson.defaults() | self.lesson.presets[index].settings)
            self._show_settings(index)
            self._run()

    def _show_settings(self, preset: int | None) -> None:
        assert self.lesson is not None
        self.panes.panel.show_settings(self.settings.of(self.lesson))
        self.panes.panel.mark_preset(preset)

    # -- the engine ---------------------------------------------------------------------------------------------------

    def _restart(self) -> None:
        self.run_worker(self._link.restart(), name="engine", exit_on_error=False)

    @on(Replied)
    def _replied(self, event: Replied) -> None:
        if isinstance(event.reply, Ready):
            self.settings.model = event.reply.model
            if self.lesson is not None:
                self.panes.panel.show_settings(self.settings.of(self.lesson))
                self.runs.amend(self.lesson)
                if self.runs.waits(self.lesson):
                    self.call_next(self._run)
        ended = self.runs.received(event.reply, self.lesson)
        if isinstance(event.reply, Framed):
            self._paint_soon()
            return
        self._show_run()
        if ended is not None:
            self._ended(ended)
        if isinstance(event.reply, Ready) or self.session.run.phase == "done":
            self.run_worker(self._fill(), group="fill", exclusive=True)

    def _ended(self, ended: Ended) -> None:
        if ended.judged is not None:
            self.panes.panel.verdict.past = False
            self.panes.panel.verdict.judged = ended.judged
        if ended.revealed:
            whole = "The model is whole again. f opens another case."
            self.notify(whole, title="find the hole", timeout=4, markup=False)
        self.save_soon()
        self.refresh_bindings()

    async def _fill(self) -> None:
        """Puts the run's results into the text; not those of a broken model."""
        run, frame = self.session.run, self.session.frame
        if run.case is None and run.lesson != FIND_THE_HOLE:
            await self.panes.page.fill(dict(frame.measured) if frame is not None else {}, self.session.model)

    def _paint_soon(self) -> None:
        wait = REPAINT - (self._clock() - self._painted)
        if wait <= 0:
            self._show_run()
        else:
            self._repaint.within(wait)

    def _show_run(self) -> None:
        """Puts the session's state into the reactives the widgets are bound to; the only place that does."""
        self._repaint.drop()
        self._painted = self._clock()
        session = self.session
        self.engine, self.model, self.run, self.frame = session.engine, session.model, session.run, session.frame
        if self.lesson is not None and not session.run.active:
            self.comparison = self.lab.comparison(self.lesson)
        if self._ticker is None:
            self._ticker = self.set_interval(TICK, self._tick)
        (self._ticker.resume if self.run.phase == "running" else self._ticker.pause)()
        self.status.seconds = self._clock() - self.run.started if self.run.phase == "running" else 0.0
        self.refresh_bindings()

    def _tick(self) -> None:
        self.status.seconds = self._clock() - self.session.run.started

    # -- what the learner can do --------------------------------------------------------------------------------------

    action_presets, action_code = dialogs.presets, dialogs.code
    action_quiz, action_review = dialogs.quiz, dialogs.review
    action_game = on(Play)(dialogs.game)
    action_deeper, action_go = dialogs.deeper, dialogs.go
    action_search, action_glossary = dialogs.search, dialogs.glossary

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is possible now; the footer, help and palette show only that."""
        if self.quitting:
            return False
        opened, finished = self.lesson is not None, self.lab.finished(self.lesson) is not None
        possible = {
            "cancel": self.session.run.active,
            **dict.fromkeys(("run", "next_preset", "presets", "code", "quiz", "go"), opened),
            "pin": finished or self.lab.pinned is not None,
            "keep": finished and self.session.run.case is None,
            "intact": self.game.open_case is not None,
            "up": self.above is not None,
            "deeper": bool(self.below),
            "back": bool(self.history),
        }
        if action == "pane":
            return parameters[:1] != (self.panes.here,) and (opened or parameters[:1] != ("live",))
        return possible.get(action, True)

    def offers(self, action: Action) -> bool:
        """Whether the action is possible now, wherever the focus is."""
        name = action.action.partition("(")[0]
        return bool(self.app.check_action(name, ()) and self.check_action(name, ()))

    async def perform(self, action: Action) -> None:
        await self.app.run_action(action.action, self.app if action in APP else self)

    def action_run(self) -> None:
        self._run()
        if self.panes.panel.form.question is not None:
            return
        if self.panes.one_at_a_time and self.panes.here != "live":
            self.panes.go("live")
        self.panes.panel.wanted = not self.panes.side_by_side

    def action_cancel(self) -> None:
        self._rerun.drop()
        self.session.cancel()
        self._show_run()

    def action_next_preset(self) -> None:
        if (picker := self.panes.panel.presets) is not None:
            self.choose_preset(picker.following())

    def action_pin(self) -> None:
        """Unpins this lesson's A if there is one; else pins the run on the screen."""
        if self.lesson is not None:
            self.lab.pin(self.lesson)
            self._show_run()

    def action_keep(self) -> None:
        """Adds the run on the screen to the notebook, without holding up the keys."""
        if self.lesson is not None and self.lab.finished(self.lesson) is not None and self.session.run.case is None:
            self.run_worker(self._keep_run(self.lesson), group="notebook")

    async def _keep_run(self, lesson: Lesson) -> None:
        self.notify(await asyncio.to_thread(self.lab.keep, lesson), title="notebook", timeout=8, markup=False)

    def action_next_pane(self) -> None:
        names = NAMES if self.lesson is not None else NAMES[:2]
        self.panes.go(names[(names.index(self.panes.here) + 1) % len(names)])

    def action_pane(self, pane: str) -> None:
        self.panes.go(pane)

    # -- Find the hole ------------------------------------------------------------------------------------------------

    def begin(self, case: Case) -> None:
        self.game.begin(case)
        self.save_soon()
        self.refresh_bindings()

    def reveal(self, guess: dict[str, Value]) -> None:
        """Asks the engine for the truth; it is shown where the results of runs are."""
        self.run_worker(self._reveal(guess), group="reveal", exclusive=True)

    async def _reveal(self, guess: dict[str, Value]) -> None:
        if self.lesson is None:
            await self._open(next(iter(self.catalog.lessons)), True)
        self.runs.reveal(guess)
        self._show_run()
        self.panes.go("live")
        self.panes.panel.wanted = True

    def action_intact(self) -> None:
        """The next runs go to the other model: the intact one, or the broken one."""
        self.game.intact = not self.game.intact
        self._show_progress()
        self.refresh_bindings()

    # -- the ways from hole to hole -----------------------------------------------------------------------------------

    @property
    def above(self) -> Lesson | None:
        """The lesson that leads to this one."""
        return self.catalog[self.lesson.parent] if self.lesson is not None and self.lesson.parent else None

    @property
    def below(self) -> tuple[Lesson, ...]:
        """The lessons this one leads to."""
        return self.catalog.children(self.lesson.id) if self.lesson is not None else ()

    def action_up(self) -> None:
        if self.above is not None:
            self.go(self.above.id)

    def action_back(self) -> None:
        if (before := self.history.back()) is not None:
            self.open_lesson(before, remember=False)

    def go(self, lesson_id: str | None) -> None:
        """To a lesson that was chosen, if one was."""
        if lesson_id is not None:
            self.post_message(OpenLesson(lesson_id))
