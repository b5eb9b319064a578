from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.engine.frames import Frame, Scalar, View
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.engine.ipc.session import RunState
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.schema import Control, Predict
from llm_holes.tui.content import lines
from llm_holes.tui.draw.spans import Row, Span, wrapped
from llm_holes.tui.views import widget_for, widget_type
from llm_holes.tui.views.base import ViewWidget
from llm_holes.tui.widgets.controls import Choice, Setting, Stepper, Switch
from llm_holes.tui.widgets.pane import Pane
from llm_holes.tui.widgets.predict import PredictForm, Verdict
from llm_holes.tui.widgets.presets import PresetPicker
from llm_holes.tui.widgets.text_field import TextField


class Caption(Widget):
    """What to look at, or what became of the run, in a line or two."""

    frame: reactive[Frame | None] = reactive(None, layout=True, always_update=True)
    run: reactive[RunState] = reactive(RunState(), layout=True)

    def render(self) -> VisualType:
        width = max(self.size.width - 2, 20)
        said: list[Row] = []
        if self.frame is not None and self.frame.caption:
            stale = self.run.active and not self.run.fresh
            said = [[Span(line, "dim" if stale else "measured")] for line in wrapped(self.frame.caption, width)]
        return lines([*self._state(width), *said])

    def _state(self, width: int) -> list[Row]:
        run = self.run
        if run.phase == "failed":
            rows: list[Row] = [[Span(line, "strong")] for line in wrapped("! " + run.error, width)]
            hint = "r starts it again" if run.gone else run.hint
            return rows + [[Span(line, "dim")] for line in wrapped(hint, width) if hint]
        if run.phase == "queued":
            return [[Span("queued: runs as soon as the model is ready", "dim")]]
        if run.phase == "cancelled":
            return [[Span("stopped · ", "dim"), Span("r", "act-strong"), Span(" runs it again", "dim")]]
        if run.phase == "running" and not run.fresh:
            return [[Span("running again…" if self.frame is not None else "running…", "dim")]]
        if run.phase == "idle":
            return [[Span("r", "act-strong"), Span(" runs this on the model", "dim")]]
        return []


class Views(Vertical):
    """Draws views below each other, in place as long as their types stay; their cursors stay too."""

    async def show(self, views: tuple[View, ...]) -> None:
        if not self.is_attached:
            return
        shown = [child for child in self.children if isinstance(child, ViewWidget)]
        same = 0
        for widget, view in zip(shown, views, strict=False):
            if not isinstance(widget, widget_type(view)):
                break
            widget.view = view
            same += 1
        with self.app.batch_update():
            for widget in shown[same:]:
                await widget.remove()
            await self.mount_all([widget_for(view) for view in views[same:]])


class LivePanel(Pane, can_focus=False):
    """The experiment: its controls, the latest frame, and between them how it compares with a pinned run."""

    frame: reactive[Frame | None] = reactive(None, always_update=True)
    run: reactive[RunState] = reactive(RunState())
    model: reactive[ModelInfo | None] = reactive(None)
    comparison: reactive[tuple[View, ...]] = reactive((), always_update=True)
    """Views of A and B."""

    def __init__(self) -> None:
        super().__init__(id="live")
        self.border_title = " 3 live "
        self.wanted = False
        """Whether to bring the results into sight when they come: a run by key does, a changed control does not."""
        # held rather than found: the engine's replies also come while the app is put together or taken apart
        self.settings_box, self.views, self.compared = Vertical(id="controls"), Views(id="views"), Views(id="compared")
        self.form, self.verdict, self.caption = PredictForm(), Verdict(), Caption()

    def compose(self) -> ComposeResult:
        yield self.settings_box
        yield self.form
        yield self.verdict
        yield self.caption
        yield self.compared
        yield self.views

    async def show(self, lesson: Lesson, settings: Mapping[str, Scalar]) -> None:
        """Puts up the lesson's controls, holding these settings."""
        controls = self.settings_box
        labels = [control.label for control in lesson.controls if control.kind != "text"]
        width = max(map(cell_len, ["preset", *labels]))
        made: list[Widget] = [_widget(control, settings[control.name], width) for control in lesson.controls]
        made.sort(key=lambda widget: not isinstance(widget, TextField))
        await controls.remove_children()
        await controls.mount_all([*made, PresetPicker(lesson.presets, width)])
        self.watch_model(self.model)
        self.scroll_home(animate=False)

    @property
    def settings(self) -> dict[str, Setting | TextField]:
        return {widget.control.name: widget for widget in self.controls()}

    def controls(self) -> list[Setting | TextField]:
        return [w for w in self.settings_box.children if isinstance(w, Setting | TextField)]

    def show_settings(self, values: Mapping[str, Scalar]) -> None:
        for widget in self.controls():
            widget.value = values[widget.control.name]

    def mark_preset(self, index: int | None) -> None:
        """Names the preset that is set; none once anything was changed."""
        if self.presets is not None:
            self.presets.chosen = index

    @property
    def presets(self) -> PresetPicker | None:
        return next(iter(self.query(PresetPicker)), None)

    def ask(self, question: Predict | None) -> None:
        """Puts the question where the run would say how it goes, or takes it away."""
        if self.form.question is not question:
            self.form.question = question
            self._goal = None  # the question comes into sight, whatever was there when the learner left
        self.caption.display = question is None

    @property
    def first(self) -> Widget | None:
        """What takes the focus: the question that waits, or the first control that takes keys without typing them."""
        if self.form.question is not None:
            return self.form
        return next((w for w in self.query("*") if w.focusable and not isinstance(w, TextField)), None)

    def on_mount(self) -> None:
        for pane in self.ancestors_with_self:
            if isinstance(pane, Pane):
                self.watch(pane, "virtual_size", self._reveal, init=False)

    def _reveal(self) -> None:
        """As results make the page longer: scrolls to the controls, or in a small pane to what is said about them."""
        if not self.wanted:
            return
        target: Widget = self
        if self.allow_vertical_scroll:
            target = self.verdict if self.verdict.display else self.caption
        target.scroll_visible(top=True, animate=False)

    def watch_model(self, model: ModelInfo | None) -> None:
        for widget in self.controls():
            widget.take(model)

    def watch_run(self, run: RunState) -> None:
        self.caption.run = run
        self.compared.set_class(run.active, "-stale")

    async def watch_frame(self, frame: Frame | None) -> None:
        self.caption.frame = frame
        await self.views.show(frame.views if frame is not None else ())

    async def watch_comparison(self, views: tuple[View, ...]) -> None:
        await self.compared.show(views)


def _widget(control: Control, value: Scalar, label_width: int) -> Setting | TextField:
    if control.kind == "text":
        return TextField(control, value, label_width)
    if control.kind == "choice":
        return Choice(control, value, label_width)
    return (Switch if control.kind == "toggle" else Stepper)(control, value, label_width)
