"""The half of the app that runs experiments: settings, session and timers. Nothing else writes to the live panel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual import on
from textual.app import App
from textual.timer import Timer

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.messages import Cancel, Case, Finished, Framed, Ready, Reply, Run
from llm_holes.engine.ipc.session import Session
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.tui.link import Died, LinkFactory
from llm_holes.tui.messages import Changed, Picked, PresetChosen, Replied
from llm_holes.tui.widgets.lesson_page import LessonPage
from llm_holes.tui.widgets.live_panel import LivePanel
from llm_holes.tui.widgets.status_line import StatusLine

DEBOUNCE = 0.35
"""Seconds after the last change of a control before it runs by itself."""
REPAINT = 0.1
"""Seconds between two frames on the screen: more would only fill a slow link."""
TICK = 0.5


class EngineApp(App[None]):
    """Subclasses compose the widgets. They are attributes, as queries would search whichever screen is on top."""

    status: StatusLine
    page: LessonPage
    panel: LivePanel

    def __init__(self, link: LinkFactory, clock: Callable[[], float]) -> None:
        super().__init__()
        self.lesson: Lesson | None = None
        self._clock = clock
        self._link = link(self._receive)
        self.session = Session(self._send, self._restart, clock)
        self._settings: dict[str, dict[str, Value]] = {}
        self._rerun: Timer | None = None
        self._repaint: Timer | None = None
        self._painted = 0.0
        self._ticker: Timer | None = None

    @property
    def case(self) -> Case | None:
        """The case of the game that runs are made in."""
        return None

    # -- the run ------------------------------------------------------------------------------------------------------

    def _run(self, by_hand: bool = True) -> None:
        """Runs the lesson. `by_hand`: the learner asked for it, rather than only changed a control."""
        if self._rerun is not None:
            self._rerun.stop()
        self.panel.wanted = False
        if self.lesson is not None:
            self.session.start(self.lesson.id, dict(self._settings[self.lesson.id]), self.case)
            self._show_session()

    @on(Changed)
    def _changed(self, event: Changed) -> None:
        if self.lesson is None:
            return
        self._settings[self.lesson.id][event.name] = event.value
        self._mark_preset()
        if event.now:
            self._run()
        elif not self.session.engine.down:
            self._run_soon()

    def _run_soon(self) -> None:
        if self._rerun is not None:
            self._rerun.stop()
        self._rerun = self.set_timer(DEBOUNCE, partial(self._run, False))

    @on(Picked)
    def _picked(self, event: Picked) -> None:
        self._set(event.settings)
        self._run()

    @on(PresetChosen)
    def _preset_chosen(self, event: PresetChosen) -> None:
        self.choose_preset(event.index)

    def choose_preset(self, index: int) -> None:
        if self.lesson is not None:
            self._set(self.lesson.defaults() | self.lesson.presets[index].settings)
            self._mark_preset(index)
            self._run()

    def _set(self, settings: dict[str, Value]) -> None:
        """Gives controls new values; names the lesson has no control for are passed over."""
        assert self.lesson is not None
        widgets = self.panel.settings
        for name, value in settings.items():
            if name in widgets:
                widgets[name].value = value  # type: ignore[assignment]
                self._settings[self.lesson.id][name] = widgets[name].value
        self._mark_preset()

    def _read_settings(self) -> None:
        """Takes over what the controls made of their values once the model, and so their range, was known."""
        if self.lesson is not None:
            settings = self._settings[self.lesson.id]
            settings |= {name: widget.value for name, widget in self.panel.settings.items()}
            self.session.amend(dict(settings))

    def _mark_preset(self, index: int | None = None) -> None:
        if (picker := self.panel.presets) is not None:
            picker.chosen = index

    # -- the engine ---------------------------------------------------------------------------------------------------

    def _send(self, request: Run | Cancel) -> None:
        self._link.send(request)

    def _restart(self) -> None:
        self.run_worker(self._link.restart(), name="engine", exit_on_error=False)

    def _receive(self, reply: Reply | Died) -> None:
        self.post_message(Replied(reply))

    @on(Replied)
    def _replied(self, event: Replied) -> None:
        if not self.screen_stack:
            return  # the app is being taken apart
        if isinstance(event.reply, Ready):
            self.panel.model = event.reply.model
            self._read_settings()
        self.session.reply(event.reply)
        if isinstance(event.reply, Framed):
            self._paint_soon()
            return
        self._show_session()
        if isinstance(event.reply, Finished) and self.session.run.phase == "done":
            self._run_done()
        if isinstance(event.reply, Ready) or self.session.run.phase == "done":
            self.run_worker(self._fill(), group="fill", exclusive=True)

    def _run_done(self) -> None:
        """A run finished; its last frame is on the screen."""

    async def _fill(self) -> None:
        measured = dict(self.session.frame.measured) if self.session.frame is not None else {}
        await self.page.fill(measured, self.session.model)

    def _paint_soon(self) -> None:
        wait = REPAINT - (self._clock() - self._painted)
        if wait <= 0:
            self._show_session()
        elif self._repaint is None:
            self._repaint = self.set_timer(wait, self._show_session)

    def _show_session(self) -> None:
        """Puts the session's state into the widgets; the only place that does."""
        if self._repaint is not None:
            self._repaint.stop()
            self._repaint = None
        self._painted = self._clock()
        panel, status, run = self.panel, self.status, self.session.run
        status.engine, status.run = self.session.engine, run
        panel.model, panel.run = self.session.model, run
        if panel.frame is not self.session.frame:
            panel.frame = self.session.frame
        if self._ticker is None:
            self._ticker = self.set_interval(TICK, self._tick)
        (self._ticker.resume if run.phase == "running" else self._ticker.pause)()
        status.seconds = self._clock() - run.started if run.phase == "running" else 0.0
        self.refresh_bindings()

    def _tick(self) -> None:
        self.status.seconds = self._clock() - self.session.run.started

    def _drop_timers(self) -> None:
        for timer in (self._rerun, self._repaint):
            if timer is not None:
                timer.stop()
        self._repaint = None

    async def on_unmount(self) -> None:
        await self._link.close()
