"""The main screen: it composes map, words, stage and dials, turns keys and messages into wishes, shows what came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual._styles_cache import StylesCache
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from llm_holes.engine.frames import Frame, Value, View
from llm_holes.engine.ipc.messages import Alive, Case, Framed, ModelInfo, Ready
from llm_holes.engine.ipc.session import EngineState, RunState, Session
from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.game.rules import FIND_THE_HOLE, compares
from llm_holes.tui.actions import APP, LESSON, Action, bindings
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.faults import Steady
from llm_holes.tui.link import Link
from llm_holes.tui.messages import (
    Changed,
    Decided,
    Described,
    Left,
    MoreDials,
    OpenLesson,
    Picked,
    Play,
    PresetChosen,
    Replied,
    TabChosen,
)
from llm_holes.tui.screens import dialogs
from llm_holes.tui.services.game import Game, score_line
from llm_holes.tui.services.history import History
from llm_holes.tui.services.lab import Lab
from llm_holes.tui.services.later import Later
from llm_holes.tui.services.runs import Ended, Runs
from llm_holes.tui.services.saving import Saving
from llm_holes.tui.services.settings import Settings
from llm_holes.tui.services.share import card_of, share
from llm_holes.tui.services.steps import Steps
from llm_holes.tui.services.tour import Tour
from llm_holes.tui.state.named_views import named_views
from llm_holes.tui.widgets.case_line import CaseLine
from llm_holes.tui.widgets.lesson_tree import LessonTree
from llm_holes.tui.widgets.lines import HintLine, KeyBar, StageLine
from llm_holes.tui.widgets.status_line import StatusLine, state_row

if TYPE_CHECKING:
    from llm_holes.lessons.learner.events import Event, Resume
    from llm_holes.lessons.learner.learner import Learner
    from llm_holes.tui.draw.card import Card
    from llm_holes.tui.screens.welcome import WelcomeScreen
    from llm_holes.tui.widgets.dials import Dials
    from llm_holes.tui.widgets.page import Page
    from llm_holes.tui.widgets.result import Result
    from llm_holes.tui.widgets.stage import Stage
    from llm_holes.tui.widgets.words import WordsPane

DEBOUNCE = 0.35
"""Seconds after the last change of a control before it runs by itself."""
REPAINT = 0.1
"""Seconds between two frames on the screen: more would only fill a slow link."""
TICK = 0.5
STEP_RUNS_AFTER = 0.5
"""Seconds in sight after which a step without a bet runs by itself."""
QUIT_WITHIN = 2.0
"""Seconds within which a second q leaves although something runs."""
MAP_FROM, WIDE = 110, 160
"""Columns from which the map is always there, and from which the words stand beside the picture."""
HIGH = 30
"""Rows from which there is room for words above two pictures."""
DIFFERENCES = "what differs"
"""The tab of everything in which two compared runs differ."""
LATER_STYLES = [Path(__file__).parents[1] / name for name in ("widgets/page.tcss", "screens/dialog.tcss")]
"""Of what is not on the first screen."""
PLACE_AFTER = 1.0
"""Seconds after which a change of controls or a scroll is written, with all that came in between."""


class LessonScreen(Steady, Screen[None]):
    """Map, words, stage, result and dials.

    Args:
        catalog: the lessons.
        link: to the engine.
        learner: loads the learner when it is first asked for, which must not hold up the first paint.
        first: id of the lesson to open; where the learner left, or the first one, if None.
        clock: seconds.
        greet: whether to say what this is, or where the learner was.
        tour: whether to begin with the tour.
        chosen: the model the program was started with, "" for the default one.
        engines: what starts the engine, and what starts another; empty if there is no other.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(LESSON)]
    BINDING_GROUP_TITLE = "Everywhere"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012

        (0, "-tiny"), (60, "-narrow"), (MAP_FROM, "-medium"), (WIDE, "-wide")
    ]  # fmt: skip
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-short"), (HIGH, "-high")]  # noqa: RUF012

    focused: var[Widget | None] = var(None)
    """Textual's own would have the whole screen painted each time; what looks different is painted anyway."""
    lesson: var[Lesson | None] = var(None)
    step: var[int] = var(0)
    engine: var[EngineState] = var(EngineState())
    run: var[RunState] = var(RunState())
    frame: var[Frame | None] = var(None)
    model: var[ModelInfo | None] = var(None)
    comparison: var[tuple[View, ...]] = var(())

    words: WordsPane
    stage: Stage
    result: Result
    dials: Dials

    def __init__(
        self,
        catalog: Catalog,
        link: Link,
        learner: Callable[[], Learner],
        first: str | None,
        clock: Callable[[], float],
        greet: bool,
        tour: bool,
        chosen: str,
        engines: tuple[Sequence[str], Sequence[str]] = ((), ()),
    ) -> None:
        super().__init__(id="_default")
        self.catalog, self._greet, self._tours, self._chosen = catalog, greet, tour, chosen
        self._engines, self._is_away, self._other_chosen = engines, False, ""
        self.learner, self._link, self._first, self._clock = learner, link, first, clock
        self.session = Session(link.send, self._restart, clock)
        self.settings, self.game, self.lab, self.history = Settings(), Game(learner), Lab(self.session), History()
        self.steps = Steps(self.settings, self.game, learner)
        self.runs = Runs(self.session, self.settings, self.steps, self.game, learner)
        self.tour = Tour(catalog, self.settings, self.steps, dialogs.tour_script)
        self._travelling = asyncio.Lock()
        """Held on the way to a stop, so that the next one is not reached before."""
        self._opening = asyncio.Lock()
        """Held while a lesson is put on the page, so that none is left half there."""
        self.saving = Saving(learner, self.point, self._in_thread, lambda: self.call_later(self._tell))
        self.status, self.stage_line, self.case_line = StatusLine(), StageLine(), CaseLine()
        self.holes, self.hint, self.footer = LessonTree(catalog), HintLine(), KeyBar()
        self.page: Page | None = None
        """Where a lesson will be. Empty until one is opened, so the first paint does not wait for it."""
        self.quitting = False
        """Whether the learner has quit: what is typed while everything is saved must not open anything any more."""
        self.greeting: WelcomeScreen | None = None
        """What a new learner sees first; it says how far the model is."""
        self._asked_to_quit = float("-inf")
        self._tab = ""
        """The key of the view on the stage, if it is not the step's own."""
        self._told: dict[str, Value] | None = None
        """The results the words may speak of: those of this step's run."""
        self._rerun = Later(self.set_timer, partial(self._run, False))
        self._repaint = Later(self.set_timer, self._show_run)
        self._placing = Later(self.set_timer, self.saving.place)
        self._ticker: Timer | None = None
        self._painted = 0.0

    def compose(self) -> ComposeResult:
        yield self.status.data_bind(
            LessonScreen.engine, LessonScreen.run, LessonScreen.lesson, LessonScreen.step
        )  # fmt: skip
        yield self.stage_line.data_bind(LessonScreen.lesson)
        yield self.case_line
        with Horizontal(id="body"):
            yield self.holes
        yield self.hint
        yield self.footer
        yield Static("llm-holes needs a terminal of at least 60 × 16", id="small")

    def on_mount(self) -> None:
        self.status.holes = len(self.catalog.lessons)
        self.call_after_refresh(self._after_first_paint)

    async def _after_first_paint(self) -> None:
        """Makes the page; keys wait until it is there (`HolesApp.takes_keys`)."""
        from llm_holes.tui.widgets.page import Page

        self.app.stylesheet.read_all(LATER_STYLES)
        self.page = page = Page()
        self.words, self.stage, self.result, self.dials = page.words, page.stage, page.result, page.dials
        self.words.data_bind(LessonScreen.lesson, LessonScreen.step, LessonScreen.model)
        self.result.caption.data_bind(LessonScreen.run, LessonScreen.frame)
        self._lay_out()
        await self.query_one("#body").mount(page)
        self.watch(self, "focused", self._focus_moved)
        self.stage.target.focus()
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
        if self._tours:
            await self._travel(0)
        elif self.lesson is None:
            # asked first: opening a lesson is what the next start resumes
            new = self.learner().resume is None
            await self._resume()
            if self._greet:
                dialogs.welcome(self, new)
        else:
            self._show_step()  # what was decided in an earlier session is not asked again

    async def _resume(self) -> None:
        point = self.learner().resume
        lesson = self.catalog.lessons.get(point.lesson) if point is not None else None
        if point is None or lesson is None:
            await self._open(next(iter(self.catalog.lessons)), False)
            return
        self.settings.change(lesson, point.settings)
        self.steps.place(lesson, point.step)
        await self._open(lesson.id, False)

    def point(self) -> Resume | None:
        """Where the learner is, for the next start."""
        from llm_holes.lessons.learner.events import Resume

        if self.lesson is None:
            return None
        settings: dict[str, Value] = {**self.settings.of(self.lesson)}
        return Resume(lesson=self.lesson.id, settings=settings, step=self.steps.index(self.lesson))

    def record(self, event: Event) -> None:
        """Keeps what the learner did."""
        self.learner().record(event)
        self.save_soon()

    def save_soon(self) -> None:
        """Shows what has become of the progress, and writes it without holding up the keys."""
        self._show_progress()
        self.saving.soon()

    @on(Changed)
    def _place_soon(self) -> None:
        """Writes where the learner is, in a while: the controls and the step should also outlive a kill."""
        self._placing.within(PLACE_AFTER)

    def _in_thread(self, work: Callable[[], None]) -> None:
        self.run_worker(work, group="save", thread=True, exit_on_error=False)

    def _tell(self) -> None:
        if notice := self.learner().take_notice():
            self.notify(notice, title="progress", timeout=20, markup=False)

    def _show_progress(self) -> None:
        learner = self.learner()
        self.holes.statuses = statuses = learner.statuses(self.catalog)
        self.status.passed = list(statuses.values()).count("passed")
        self.status.due = len(learner.due(self.catalog))
        self.case_line.intact, self.case_line.open_case = self.game.intact, self.game.open_case

    # -- the lesson and its steps -------------------------------------------------------------------------------------

    def open_lesson(self, lesson_id: str, remember: bool = True) -> None:
        """Opens a lesson the learner chose, which is the end of a tour."""
        self._leave_tour()
        self.run_worker(self._open(lesson_id, remember), group="open")

    async def _open(self, lesson_id: str, remember: bool) -> None:
        async with self._opening:
            if (lesson := self.catalog[lesson_id]) is not self.lesson:
                await self._put_on_page(lesson, remember)

    async def _put_on_page(self, lesson: Lesson, remember: bool) -> None:
        if self.lesson is not None and remember:
            self.history.remember(self.lesson.id)
        self._rerun.drop()
        self._repaint.drop()
        self.session.leave()
        self.lesson = lesson
        self.learner().visit(lesson)
        self.save_soon()
        if self.tour.on:
            self.tour.arrive()
        elif not self.steps.begun(lesson):
            self.steps.enter(lesson, 0)
        self.step, self._told, self.words.measured = self.steps.index(lesson), None, None
        await self.stage.clear()
        self.holes.reveal(lesson.id)
        await self._until_painted()  # the words first, then all the rest at once
        with self.app.batch_update():
            await self.dials.show(lesson, self.settings.of(lesson))
            # a memo of colours, whose keys hold what the widgets of the lessons before were drawn as
            StylesCache.get_inner_outer.cache_clear()
            self.stage.target.focus()
            self._show_step()

    async def _until_painted(self) -> None:
        """Waits until what has changed is on the screen."""
        painted = asyncio.Event()
        self.call_after_refresh(painted.set)
        await painted.wait()

    def enter(self, index: int) -> None:
        """To a step of the lesson on the page."""
        if self.lesson is not None:
            self.steps.enter(self.lesson, index)
            self._show_settings(None)
            self._show_step()
            self._place_soon()

    def _show_step(self) -> None:
        """Another step is on the page: its words, its view, its bet; it runs soon if it has none."""
        lesson = self.lesson
        assert lesson is not None
        self.step, self._tab = self.steps.index(lesson), ""
        self._name_keys()
        bet = lesson.steps[self.step].bet
        self.result.verdict.past = False
        self.result.verdict.judged = self.learner().judged(lesson, bet) if bet is not None else None
        self._told = self.runs.measured(lesson) if self.runs.known(lesson) and self.steps.bet(lesson) is None else None
        self._rerun.drop()
        self._ask()
        self._show_run()
        if self.steps.bet(lesson) is None and not self.runs.known(lesson):
            self._run_soon(STEP_RUNS_AFTER)

    def _name_keys(self) -> None:
        """What the keys for the way on are called in this lesson, or on the tour."""
        self.status.tour = (self.tour.number, self.tour.count) if self.tour.on else None
        labels = {"next": f"next: {self.following.short}"} if self.following is not None else {}
        labels["other-engine"] = "server" if self._is_away else "local model"
        touring = {"next-step": "next stop", "step-back": "stop before", "out": "leave the tour"}
        self.footer.labels = labels | touring if self.tour.on else labels

    def _lead(self) -> None:
        """The key to the other engine comes to the front where the picture is not to be had on this one, and to lead
        back."""
        model, lesson = self.session.engine.model, self.lesson
        is_unseen = (
            lesson is not None
            and model is not None
            and model.shows is not None
            and any(step.view == self.stage.tabs.current for step in lesson.steps)
            and self.stage.tabs.current not in model.shows.get(lesson.id, ())
        )
        leads = "other-engine" if self._engines[1] and (is_unseen or self._is_away) else ""
        if leads != self.footer.leads:
            self.footer.leads = leads
            self.refresh_bindings()

    def _ask(self) -> None:
        """Puts up the bet that comes before the current step's run, or takes it away."""
        assert self.lesson is not None
        had = self.result.form.question
        bet = self.runs.bet(self.lesson)
        self.result.ask(bet)
        if bet is not None and had is not bet and self.focused not in self.dials.texts():
            self.result.form.focus()

    @on(OpenLesson)
    def _opened(self, event: OpenLesson) -> None:
        self.remove_class("-map")
        self.open_lesson(event.lesson)

    @on(Described)
    def _described(self, event: Described) -> None:
        if event.widget is self.focused:
            self.hint.text = event.widget.describe()  # type: ignore[attr-defined]

    def _focus_moved(self, focused: Widget | None) -> None:
        self.call_after_refresh(self._keep_focus)
        describe = getattr(focused, "describe", None)
        self.hint.text = describe() if describe else ""

    def _keep_focus(self) -> None:
        """A view that leaves the stage takes the focus with it, and a closed dialog may give it back to such a one."""
        if self.is_current and (self.focused is None or not self.focused.display):
            self.stage.target.focus()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        """Words beside the picture where there is room for both; above two of them, which need the width, and no more
        than the heading where they need the rows too."""
        if self.page is None:
            return
        width, two = self.size.width, self.has_class("-compared")
        self.words.beside = not two and (width >= WIDE or (width >= MAP_FROM and self.has_class("-folded")))
        self.words.brief = two and self.size.height < HIGH
        self.set_class(self.words.beside, "-beside")

    # -- bet, run, see ------------------------------------------------------------------------------------------------

    def _run(self, by_hand: bool = True) -> None:
        """Runs the lesson, or asks what must be answered first. `by_hand`: the learner asked for it, rather than only
        changed a control."""
        if self.lesson is None:
            return
        self._rerun.drop()
        if self.runs.request(self.lesson) is not None:
            self._ask()
            if by_hand:
                self.result.form.focus()
            return
        self.result.ask(None)
        self.result.verdict.past = self.result.verdict.judged is not None
        if by_hand and not isinstance(self.focused, LessonTree):
            self.stage.target.focus()
        self._show_run()
        self._place_soon()

    def _run_soon(self, seconds: float = DEBOUNCE) -> None:
        # each run on a broken model is a probe, so none begins by itself
        if not self.session.engine.down and self.game.case is None:
            self._rerun.after(seconds)

    @on(Decided)
    def _decided(self, event: Decided) -> None:
        if self.lesson is None or self.steps.bet(self.lesson) is None:
            return
        self.runs.decide(self.lesson, event.answer, event.sure)
        self.save_soon()
        self._ask()
        self._run()

    @on(Changed)
    def _changed(self, event: Changed) -> None:
        if self.lesson is None or event.name not in self.lesson.defaults():
            return  # of the lesson before, whose dials are just being taken away
        self.settings.change(self.lesson, {event.name: event.value})
        self.dials.mark_preset(None)
        self._ask()
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
        if self.lesson is not None and index < len(self.lesson.presets):
            kept = self.lesson.picture_settings(self.step)
            self.settings.change(self.lesson, self.lesson.defaults() | kept | self.lesson.presets[index].settings)
            self._show_settings(index)
            self._run()

    def _show_settings(self, preset: int | None) -> None:
        assert self.lesson is not None
        self.dials.show_settings(self.settings.of(self.lesson))
        self.dials.mark_preset(preset)

    # -- the engine ---------------------------------------------------------------------------------------------------

    def _restart(self) -> None:
        self.run_worker(self._link.restart(), name="engine", exit_on_error=False)

    @on(Replied)
    def _replied(self, event: Replied) -> None:
        if isinstance(event.reply, Ready):
            self._model_came(event.reply)
        ended = self.runs.received(event.reply, self.lesson)
        if isinstance(event.reply, Alive):
            self._tick()
            return
        if isinstance(event.reply, Framed):
            self._paint_soon()
            return
        if ended is not None:
            self._ended(ended)
        self._show_run()

    def _model_came(self, ready: Ready) -> None:
        self.settings.model = ready.model
        self.dials.take(ready.model)
        if self.lesson is not None:
            self.dials.show_settings(self.settings.of(self.lesson))
            self.runs.amend(self.lesson)
            if ready.model.shows is not None and self.steps.bet(self.lesson) is None:
                self._ask()  # a bet that nothing here would decide is taken back
                if not self.runs.known(self.lesson):
                    self._run_soon(STEP_RUNS_AFTER)
            if self.runs.waits(self.lesson):
                self.call_next(self._run)

    def _ended(self, ended: Ended) -> None:
        if ended.judged is not None and self._bet_here() == ended.judged.bet:
            self.result.verdict.past = False
            self.result.verdict.judged = ended.judged
        if ended.revealed:
            whole = "The model is whole again. f opens another case."
            self.notify(whole, title="find the hole", timeout=4, markup=False)
        if self.lesson is not None and self.session.run.phase == "done" and self.steps.bet(self.lesson) is None:
            self._told = self.runs.measured(self.lesson)
        self.save_soon()

    def _bet_here(self) -> str:
        """The name of the current step's bet."""
        bet = self.lesson.steps[self.step].bet if self.lesson is not None else None
        return bet.measurement if bet is not None else ""

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
        if self.lesson is not None:
            self.words.settings = session.run.settings or {}
            self.words.measured = self._told
            self.result.caption.set_class(self.result.verdict.judged is not None, "-after-verdict")
            self._compare(self.lesson)
            self._show_views()
        if self.greeting is not None:
            self.greeting.tell(self.machine())
        if self._ticker is None:
            self._ticker = self.set_interval(TICK, self._tick)
        (self._ticker.resume if self.session.waited_for else self._ticker.pause)()
        self._tick()
        self.refresh_bindings()

    def _compare(self, lesson: Lesson) -> None:
        """In what the run on the screen differs from A, as far as nothing of it is closed. While another is under way
        the last one's differences stay."""
        undecided, differences = self.steps.undecided(lesson), self.result.differences
        a, b = self.lab.a(lesson), self.lab.b(lesson)
        differences.stale = self.session.run.active
        if not self.session.run.active or a is None:
            closed = frozenset().union(*(self._shut(run.frame) for run in (a, b) if run is not None))
            self.comparison = self.lab.comparison(lesson, closed, undecided)
            differences.labels = {control.name: control.label for control in lesson.controls}
            differences.a, differences.b = self.lab.pair(lesson, closed, undecided) or (a, None)
        differences.display = a is not None and self.result.form.question is None
        self.result.caption.quiet = differences.b is not None or (bool(undecided) and self.run.lesson == lesson.id)

    def machine(self) -> str:
        """The model and what the engine does, in one line."""
        return plain(state_row(self.session.engine, RunState(), 0.0))

    def _tick(self) -> None:
        run = self.session.run
        self.status.seconds = self._clock() - run.started if run.phase == "running" else 0.0
        self.status.doing = self.session.doing
        self.status.silent = self.session.silent

    def action_other_engine(self) -> None:
        """The same lesson with the same settings on the other engine, or back on the first."""
        self._engines, self._is_away = self._engines[::-1], not self._is_away
        self._chosen, self._other_chosen = self._other_chosen, self._chosen
        self._rerun.drop()
        self._link.use(self._engines[0])
        self.session.move()
        self._name_keys()
        self.settings.model = None
        if self.lesson is not None:
            self._show_step()

    # -- the stage ----------------------------------------------------------------------------------------------------

    def _views(self, frame: Frame | None) -> dict[str, View]:
        """The views of a run that may be seen now, by their key."""
        if frame is None or self.result.form.question is not None:
            return {}
        closed = self._shut(frame)
        return {key: view for key, view in named_views(frame).items() if key not in closed}

    def _shut(self, frame: Frame) -> frozenset[str]:
        """The keys of its views that are still closed. What the game reveals is no lesson's: nothing of it is."""
        assert self.lesson is not None
        if self.session.run.lesson == FIND_THE_HOLE or self.steps.whole(self.lesson):
            return frozenset()
        shown = named_views(frame).keys()
        if self.lesson.steps[self.step].view not in shown:
            return self.steps.closed(self.lesson)
        return self.steps.closed(self.lesson) | (shown - {step.view for step in self.lesson.steps})

    def _show_views(self) -> None:
        assert self.lesson is not None
        a, views = self.lab.a(self.lesson), self._views(self.session.frame)
        pinned = self._views(a.frame) if a is not None else {}
        differences = self.comparison if self.result.form.question is None else ()
        every = [*dict.fromkeys([*pinned, *views]), *([DIFFERENCES] if differences else [])]
        names = list(dict.fromkeys([*(step.view for step in self.lesson.steps), *every]))
        if self.session.run.lesson == FIND_THE_HOLE:
            names = every
        key = self._tab if self._tab in every else self.lesson.steps[self.step].view
        waits = self.session.run.active and self.session.run.lesson != FIND_THE_HOLE
        if every and key not in every and not waits:  # a run that is under way may still bring the step's own
            key = every[0]
        tabs = self.stage.tabs
        tabs.names, tabs.closed, tabs.current = tuple(names), frozenset(names) - set(every), key
        self._lead()
        self.result.caption.view = key
        self.stage.wait(self._waits_for())
        # A's picture stays alone until another run has the same
        alone = key not in views or self.lab.alone(self.lesson)
        view = pinned.get(key) if alone else views[key]
        shown = differences if key == DIFFERENCES else (view,) if view is not None else ()
        beside = None if alone else pinned.get(key)
        mark = "" if a is None or key == DIFFERENCES else "A" if alone else "B"
        self.set_class(beside is not None, "-compared")
        self._lay_out()
        self.call_next(self._put_up, shown, beside, mark)

    async def _put_up(self, shown: tuple[View, ...], a: View | None, mark: str) -> None:
        if a is not None:
            from llm_holes.tui.state.one_scale import on_one_scale

            a, b = on_one_scale(a, shown[0])
            shown = (b,)
        await self.stage.show(shown, a, mark)
        # the picture itself has the focus as soon as there is one that takes keys
        if self.is_current and self.focused in (None, self.stage.picture) and self.stage.target is not self.focused:
            self.stage.target.focus()

    def _waits_for(self) -> str:
        if self.result.form.question is not None:
            return "your bet first: the picture comes after it"
        return {"running": "running…", "queued": "waiting for the model", "failed": "", "idle": ""}.get(
            self.session.run.phase, "r runs this on the model"
        )

    @on(TabChosen)
    def _tab_chosen(self, event: TabChosen) -> None:
        self._tab = event.key
        self._show_views()
        self.call_after_refresh(self._focus_stage)

    def _focus_stage(self) -> None:
        self.stage.target.focus()

    def action_turn(self, count: int) -> None:
        """To the next view that is open."""
        tabs = self.stage.tabs
        names = [name for name in tabs.names if name not in tabs.closed]
        if names:
            at = names.index(tabs.current) if tabs.current in names else 0
            self.post_message(TabChosen(names[(at + count) % len(names)]))

    # -- what the learner can do --------------------------------------------------------------------------------------

    action_presets, action_code = dialogs.presets, dialogs.code
    action_quiz, action_review = dialogs.quiz, dialogs.review
    action_game = on(Play)(dialogs.game)
    action_go = dialogs.go
    action_search, action_glossary = dialogs.search, dialogs.glossary

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is possible now; the footer, help and palette show only that."""
        if self.quitting or self.page is None:
            return False
        opened, finished = self.lesson is not None, self.lab.finished(self.lesson) is not None
        possible = {
            "cancel": self.session.run.active,
            **dict.fromkeys(("run", "next_preset", "presets", "code", "quiz", "go"), opened),
            "bet": self.result.form.question is not None and not self.result.form.has_focus,
            "edit": opened and bool(self.dials.texts()),
            "turn": len(self.stage.tabs.names) - len(self.stage.tabs.closed) > 1,
            "more": self.dials.more.count > 0,
            "pin": finished or self.lab.pinned is not None,
            "keep": finished and self.session.run.case is None,
            "share": self._to_share() is not None or bool(self._score()),
            "other_engine": bool(self._engines[1]),
            "intact": self.game.open_case is not None,
            "up": self.above is not None,
            "next": self.following is not None,
            "back": bool(self.history),
            "map": self.size.width >= MAP_FROM,
        }
        if action == "step":
            return opened and (parameters[:1] != (-1,) or (self.tour.number > 1 if self.tour.on else self.step > 0))
        return possible.get(action, True)

    def offers(self, action: Action) -> bool:
        """Whether the action is possible now, wherever the focus is."""
        name = action.action.partition("(")[0]
        return bool(self.app.check_action(name, ()) and self.check_action(name, ()))

    async def action_quit(self) -> None:
        """Leaves; while something runs, only when pressed a second time soon."""
        now = self._clock()
        if self.session.run.phase == "running" and now - self._asked_to_quit > QUIT_WITHIN:
            self._asked_to_quit = now
            self.notify("Something still runs. q again leaves, x stops it.", timeout=QUIT_WITHIN, markup=False)
            return
        await self.app.action_quit()

    async def perform(self, action: Action) -> None:
        await self.app.run_action(action.action, self.app if action in APP else self)

    def action_step(self, count: int) -> None:
        """To another step; after the last one, to what the lesson came to. On the tour, to another stop."""
        if self.tour.on:
            self.run_worker(self._travel(count), group="open")
            return
        if self.lesson is None:
            return
        if self.step + count >= len(self.lesson.steps):
            dialogs.end(self)
            return
        self.enter(max(self.step + count, 0))
        self._look()

    def _look(self) -> None:
        """To the picture, unless a bet comes before it."""
        if self.result.form.question is None:
            self.stage.target.focus()

    def action_tour(self) -> None:
        """Begins the tour, or goes on with it where it was left."""
        self.run_worker(self._travel(0), group="open")

    async def _travel(self, count: int) -> None:
        """To the stop so many stops on; after the last one, to what comes after the tour."""
        async with self._travelling:
            lesson = self.tour.move(count) if self.tour.on else self.tour.begin()
            if lesson is None:
                dialogs.tour_end(self)
            elif lesson is self.lesson:
                self.tour.arrive()
                self._show_settings(None)
                self._show_step()
                self._place_soon()
                self._look()
            else:
                await self._open(lesson.id, True)

    def _leave_tour(self) -> None:
        """Stays in the lesson; its own steps are walked again."""
        if self.tour.on:
            self.tour.leave()
            self.notify("You left the tour. T goes on with it.", timeout=6, markup=False)
            if self.lesson is not None:
                self._name_keys()
                self.refresh_bindings()

    def end_tour(self) -> None:
        """The tour was walked to its end, in whose lesson the learner stays."""
        self.tour.finish()
        self._name_keys()
        self.refresh_bindings()

    def action_run(self) -> None:
        self._run()

    def action_part(self, count: int) -> None:
        """To the next thing that takes keys without typing them: the picture, the bet, each dial, the map."""
        parts = [self.stage.target, *([self.result.form] if self.result.form.question is not None else [])]
        parts += [widget for widget in self.dials.turned() if widget.display]
        parts += [self.holes] if self.holes.display and self.holes.region else []
        at = parts.index(self.focused) if self.focused in parts else 0 if count > 0 else 1
        parts[(at + count) % len(parts)].focus()

    def action_bet(self) -> None:
        self.result.form.focus()

    def action_edit(self) -> None:
        """Into the text; from one text to the next where there are several."""
        texts = self.dials.texts()
        at = next((n + 1 for n, field in enumerate(texts) if field.has_focus), 0)
        if texts:
            texts[at % len(texts)].focus()

    @on(MoreDials)
    def action_more(self) -> None:
        self.dials.toggle()

    @on(Left)
    def _left(self, event: Left) -> None:
        self.action_out()

    def action_out(self) -> None:
        """One level out: from the dials to the stage, from there to the map, and from the map back; on the tour, from
        the stage out of the tour."""
        if isinstance(self.focused, LessonTree):
            self.remove_class("-map")
            self.stage.target.focus()
        elif self.focused is not None and self.dials in self.focused.ancestors:
            self.stage.target.focus()
        elif self.tour.on:
            self._leave_tour()
        else:
            self.add_class("-map")
            self.remove_class("-folded")
            self._lay_out()
            self.holes.focus()

    def action_map(self) -> None:
        """Folds the map away, or brings it back."""
        self.toggle_class("-folded")
        self._lay_out()
        if self.has_class("-folded") and isinstance(self.focused, LessonTree):
            self.stage.target.focus()

    def action_cancel(self) -> None:
        self._rerun.drop()
        self.session.cancel()
        self._show_run()

    def action_next_preset(self) -> None:
        if (picker := self.dials.presets) is not None:
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

    def _to_share(self) -> View | None:
        """The view on the stage, if it is one of a finished run on the intact model."""
        if self.lab.finished(self.lesson) is None or self.session.run.case is not None:
            return None
        return self._views(self.session.frame).get(self.stage.tabs.current)

    def _score(self) -> str:
        """How the case went whose truth is on the screen, "" where there is none."""
        run, frame = self.session.run, self.session.frame
        told = (
            frame is not None
            and run.lesson == FIND_THE_HOLE
            and run.phase == "done"
            and not compares(run.settings or {})
        )
        return score_line(run.settings or {}, frame.measured) if frame is not None and told else ""

    def action_share(self) -> None:
        """Writes the picture on the stage into a file, and copies it as text; of a case of the game, how it went."""
        if score := self._score():
            self.app.copy_to_clipboard(score)
            self.notify(f"Copied, where the terminal allows: {score}", title="share", timeout=8, markup=False)
            return
        made, view = self.lab.finished(self.lesson), self._to_share()
        if self.lesson is not None and made is not None and view is not None:
            # what the run found is said on the card only where it is said on the screen
            caption = "" if self.result.caption.quiet else made.frame.caption
            card = card_of(self.lesson, view, caption, made.settings, self.session, self._chosen)
            self.run_worker(self._share(card, self.lesson), group="share")

    async def _share(self, card: Card, lesson: Lesson) -> None:
        told, text = await asyncio.to_thread(share, card, lesson)
        if text:
            self.app.copy_to_clipboard(text)
        self.notify(told, title="share", timeout=8, markup=False)

    # -- Find the hole ------------------------------------------------------------------------------------------------

    def begin(self, case: Case) -> None:
        self.game.begin(case)
        self._rerun.drop()
        self.save_soon()
        if self.lesson is not None:
            self._ask()
            self._show_run()

    def play(self, chosen: dict[str, Value]) -> None:
        """Compares a layer of the open case, or asks for the truth; it is shown where the results of runs are."""
        self.run_worker(self._play(chosen), group="game", exclusive=True)

    async def _play(self, chosen: dict[str, Value]) -> None:
        if self.lesson is None:
            await self._open(next(iter(self.catalog.lessons)), True)
        self.result.ask(None)
        self.runs.play(chosen)
        self._show_run()
        self.stage.target.focus()

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
    def following(self) -> Lesson | None:
        """The next lesson in reading order, depth first."""
        lessons = list(self.catalog.lessons.values())
        at = lessons.index(self.lesson) + 1 if self.lesson is not None else 0
        return lessons[at] if at < len(lessons) else None

    def action_next(self) -> None:
        if self.following is not None:
            self.go(self.following.id)

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
